"""The only room that speaks to AWS: plain functions that take a client. It never prints and never exits."""
