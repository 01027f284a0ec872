"""The only package that calls AWS: plain functions that take a client. It never prints and never exits."""
