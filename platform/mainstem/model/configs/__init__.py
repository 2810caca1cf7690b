"""Every configuration key as one row of a table: name, type, default, what is allowed, what it does.

The same rows parse server.properties, answer DescribeConfigs and generate the documentation.
"""
