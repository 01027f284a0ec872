"""Pure decisions: values in, values out. Nothing here asks AWS, git or the clock."""
