"""Creating a container, and what can be done to one that is created. `pipeline` is the page to read first."""
