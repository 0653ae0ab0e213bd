"""A crowd of lifelike crawlers on a network that loses, doubles and delays; and whether all counts are exact then.

`plan` is what a crawl will find and what will happen on its way, `chaos` the bad network, `crowd` the crawlers at work,
`verdict` the comparison of what they did with what the server counted. Each can be used without the command.
"""
