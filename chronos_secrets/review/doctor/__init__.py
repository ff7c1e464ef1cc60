"""`doctor`: is this machine fit for the project? Each section looks at one thing and changes nothing."""
