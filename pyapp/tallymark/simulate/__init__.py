"""A crowd of lifelike crawlers on a network that loses, doubles and delays; and whether all counts are exact then."""
