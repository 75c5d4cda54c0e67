#!/usr/bin/env python3
"""absent.py PROGRAM PRODUCT...: policy/sanitizer.policy and loader.policy are compiled into PROGRAM and into no PRODUCT."""
import pathlib, sys

MARKS = [b"what AddressSanitizer and UndefinedBehaviorSanitizer ask for", b"it is linked dynamically; in no product", b"sanitizer_filters"]


def main():
    program, *products = map(pathlib.Path, sys.argv[1:])
    bad = [f"{program} lacks {mark!r}: this test proves nothing" for mark in MARKS if mark not in program.read_bytes()]
    bad += [f"{product} contains {mark!r}" for product in products for mark in MARKS if mark in product.read_bytes()]
    print("\n".join(bad) or f"{len(products)} products")
    return 1 if bad or not products else 0


if __name__ == "__main__":
    sys.exit(main())
