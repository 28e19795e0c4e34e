"""Refuse a record that no gate would accept or no message could hold, before the office stores it. Pure.

Used by `record_book`. The error names the value and its limit.
"""

import msgspec
from msgspec.structs import replace

from gated import wording
from gated.errors import OfficeError
from gated.office.gate_records import ANY, as_sent
from gated.office.office_person import OfficePerson, StoredRecord
from gated.protocol.wire_records import PersonRecord

MAX_RECORD_BYTES = 16_000
"""Limit for a record's JSON without a face, in bytes. Leaves room for a face in the same message."""

_stored_decoder = msgspec.json.Decoder(StoredRecord)
_wire_decoder = msgspec.json.Decoder(PersonRecord)


def check_record(key: str, record: StoredRecord) -> None:
    """Raise `OfficeError` for a record that no gate would accept or no message could hold."""
    encoded = [msgspec.json.encode(replace(record, n=0))]
    try:
        _stored_decoder.decode(encoded[0])
        if isinstance(record, OfficePerson):
            encoded.append(msgspec.json.encode(as_sent(record, ANY, with_names=True)))
            _wire_decoder.decode(encoded[1])
    except msgspec.ValidationError as error:
        raise OfficeError(f"{key.partition('/')[0]}: {wording.problem(error, type(record))}") from error
    if (length := max(map(len, encoded))) > MAX_RECORD_BYTES:
        raise OfficeError(
            f"{key}: {length} bytes, at most {MAX_RECORD_BYTES} can be sent; give fewer cards or shorter texts"
        )
