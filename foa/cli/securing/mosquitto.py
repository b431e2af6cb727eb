"""Mosquitto's configuration for a folder that ``foa broker init`` made; ``broker/mosquitto.conf`` is one."""

from typing import Final, NamedTuple

_TEXT: Final = """\
# Mosquitto >= 2.0 for a federation, written by 'foa broker init': TLS, an account for each process, access control.
#
#   foa broker init {folder}
#   mosquitto -c {conf}
#   foa --config {folder}/clients/submitter.toml task submit "echo hello"

# Two doors, each with its own accounts and rules. Changes of accounts take effect at SIGHUP.
per_listener_settings true

# --- processes: coordinators, index nodes, agents -----------------------------------------------------------
listener {port} {address}
cafile {folder}/ca.crt
certfile {folder}/server.crt
keyfile {folder}/server.key
tls_version tlsv1.2
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
# Client ID = account = identity: nobody can take another's session.
use_username_as_clientid true
# Every listener must say it, or its connections cost some 40 ms more for each round trip.
set_tcp_nodelay true

# --- people and their tools: many commands at once on one account, each under a Client ID of its own ---------
# Whoever has one of these accounts could take a process's Client ID here, which disturbs it and gains nothing: rights
# are the account's. Keep this door to where people are.
listener {people_port} {address}
cafile {folder}/ca.crt
certfile {folder}/server.crt
keyfile {folder}/server.key
tls_version tlsv1.2
allow_anonymous false
password_file {folder}/people.passwords
acl_file {folder}/people.acl
set_tcp_nodelay true

# Client certificates instead of passwords, the common name being the account ('foa broker certificate'):
# require_certificate true
# use_identity_as_username true

# --- speed --------------------------------------------------------------------------------------------------
# QoS 1 frames in flight to one client before the next waits for an acknowledgement. The default is 20.
max_inflight_messages 1000

# --- completeness -------------------------------------------------------------------------------------------
# A node that takes over partitions is sent all retained vectors in them at once, and Mosquitto drops, without a
# word, what exceeds these. Set them above the agents one index node may hold; foa checks the count all the same.
max_queued_messages 100000
max_queued_bytes 268435456
# Frames are at most 256 KiB of body; headers come on top.
max_packet_size 1048576

# --- memory of the broker -----------------------------------------------------------------------------------
# What the broker knows is written every few seconds and at a clean end. A kill -9 costs what came since: nodes read
# back what they hold retained at every reconnect and mend it, so this is convenience, never a promise.
persistence true
autosave_interval 5
{persistence}
# Sessions of processes that never came back.
persistent_client_expiration 7d

log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
{user}"""


class Place(NamedTuple):
    """Where it finds its files and listens; ``user`` is who owns the files, "" to leave that to Mosquitto."""

    folder: str
    conf: str
    port: int = 8883
    people_port: int = 8884
    address: str = "127.0.0.1"
    user: str = ""


def configuration(place: Place) -> str:
    """Return the text of the file."""
    owned = place.user != ""
    location = f"persistence_location {place.folder}/" if owned else "# persistence_location /var/lib/mosquitto/"
    user = f"# The files are readable by their owner alone.\nuser {place.user}\n" if owned else ""
    return _TEXT.format(**{**place._asdict(), "user": user}, persistence=location)
