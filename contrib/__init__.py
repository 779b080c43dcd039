"""What belongs to the project and is installed with none of its packages."""
