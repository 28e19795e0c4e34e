"""Under the floor: tasks that may not die, processes that may, and the pipe between them."""
