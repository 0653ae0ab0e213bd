"""Counts items by their keys, and says which keys were counted: by this client, and by the whole job."""

from collections.abc import Iterable

from tallymark.client.checks import as_cursor, check_count, check_type, exact
from tallymark.client.frontier import Node
from tallymark.client.keys import as_sent, check_key, digest, digest_of_any_type
from tallymark.client.progress import Count
from tallymark.client.questions import parts_of_keys, unseen_in, unseen_question
from tallymark.client.recorder import Recorder
from tallymark.client.sender import Sender


def as_count(type_: str, n: int, processed: int | None, last_id: object) -> Count:
    """Return a count, or raise what `Job.advance` says."""
    number, done = check_count(type_, n, processed)
    return exact(type_), number, done, as_cursor(last_id)


def count_key(recorder: Recorder, count: Count, key: str, node: Node | None = None) -> bool:
    """Count an item that has a key; return whether it counts. `node`: the item in work that is done with it."""
    type_, n = count[:2]
    key = check_key(key)
    if recorder.has_old_keys and recorder.has_counted(digest_of_any_type(key)):
        recorder.pass_by(count, node)
        return False
    # More than one item cannot be counted by one key on the server.
    return recorder.count(count, digest(type_, key), key if n == 1 else None, node)


def seen(recorder: Recorder, key: str, type_: str | None) -> bool:
    """Return whether this client has counted a key; see `Job.seen`."""
    key = check_key(key)
    if recorder.has_old_keys and recorder.has_counted(digest_of_any_type(key)):
        return True
    types = recorder.types_with_keys() if type_ is None else (exact(type_),)
    return any(recorder.has_counted(digest(one, key)) for one in types)


def unseen(recorder: Recorder, sender: Sender, keys: Iterable[str], type_: str) -> list[str]:
    """Return the keys that nobody has counted in the job, as far as the server answers; see `Job.unseen`."""
    if isinstance(keys, str):
        raise TypeError("keys must be a list or another iterable of texts, not a single text")
    check_type(type_)
    left = [key for key in dict.fromkeys(map(check_key, keys)) if not seen(recorder, key, type_)]
    sent = {key: as_sent(key) for key in left}
    new: set[str] = set()
    for part in parts_of_keys(list(dict.fromkeys(sent.values()))):
        found = unseen_in(sender.ask(*unseen_question(recorder.channel.job_id, type_, part)))
        if found is None:
            recorder.warn("cannot ask the server which keys are new, so all that this client does not know are")
            return left
        new.update(found)
    return [key for key in left if sent[key] in new]
