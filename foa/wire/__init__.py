"""What travels: ids, records, messages, topics, envelope, codec. No I/O, no clock."""
