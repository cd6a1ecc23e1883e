"""One module for each version of the schema. A released one is never changed; a change is a module more."""
