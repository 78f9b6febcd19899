# Stands in for the plugin cargo2 in tests: the rules are those of its newest version that Millrace knows.
