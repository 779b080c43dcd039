"""One adapter a library. The foreign ones are imported only in the process that measures them."""
