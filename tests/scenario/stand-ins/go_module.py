# Stands in for the plugin go_module in tests: the rules are those of its newest version that Millrace knows.
