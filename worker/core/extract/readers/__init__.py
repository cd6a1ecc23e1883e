"""One module for each family of formats. A reader adds what it finds to a `Reading`, part by part."""
