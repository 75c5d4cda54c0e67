"""h323_schema_check.py SCRIPT SCHEMA: alg/h323_schema.py takes the schema as it is, always writes the same, and refuses what cannot be meant."""
import pathlib
import subprocess
import sys
import tempfile

SCRIPT, SCHEMA = sys.argv[1:3]
TEXT = pathlib.Path(SCHEMA).read_text()
# what is replaced, by what, and a word of the refusal
FAULTS = [
    ("bool@RAS_KEEP_ALIVE", "bool@RAS_KEEP_DEAD", "no field RAS_KEEP_DEAD"),
    ("CallType = <null*4 |>", "CallType = <null*4 |> null", "too much"),
    ("CallType = <null*4 |>", "CallType = <null*4 | | null>", "second bar"),
    ("CallType = <null*4 |>", "CallType = <null*4 |", "None is no type"),
    ("CallType = <null*4 |>", "CallTypes = <null*4 |>", "no type CallType"),
    ("CallType = <null*4 |>", "CallType = <null*4 |>\nSpare = null", "nothing uses: Spare"),
    ("CallType = <null*4 |>", "CallType = <null*4 $>", "cannot read"),
    ("Digits = digits(1..128)", "Digits = digits(0..128)", "may be empty"),
    ("root RAS  RasMessage", "root RAS  RasMessages", "no type RasMessages"),
]


def generate(text, folder):
    schema = folder / "planted.schema"
    schema.write_text(text)
    done = subprocess.run([sys.executable, SCRIPT, schema, folder], capture_output=True, text=True)
    return done.returncode, done.stderr, "".join((folder / f"h323_schema.{end}").read_text() for end in "ch") if not done.returncode else ""


def main():
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        first, second = generate(TEXT, folder), generate(TEXT, folder)
        if first[0] or first != second:
            wrong.append(f"the schema itself: {first[1]}")
        for old, new, word in FAULTS:
            status, said, _ = generate(TEXT.replace(old, new, 1), folder)
            if old not in TEXT or not status or word not in said:
                wrong.append(f"{new!r}: {'taken' if not status else said}")
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
