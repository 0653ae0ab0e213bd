-- Takes the schema away with all that is in it. The roles stay: they belong to the whole cluster, and another
-- database may use them.

DROP SCHEMA IF EXISTS tallymark CASCADE;
