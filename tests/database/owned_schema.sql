-- What pgspot is told before it reads the files: the schema is ours, nobody else can have made objects in it. The
-- migration says so too, but as CREATE SCHEMA IF NOT EXISTS, since it must be able to run twice.
CREATE SCHEMA tallymark;
