# Stands in for the plugin anitya in tests: the rules are those of its newest version that Millrace knows.
