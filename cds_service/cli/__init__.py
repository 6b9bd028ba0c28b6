"""The command line: ``main`` names the commands, one file each holds a command or its group."""
