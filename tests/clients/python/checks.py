"""One check a sentence: prints `ok`, `FAIL` or `skip` lines that tests/clients/run counts."""
import sys
import time
import traceback

_failed = 0


def check(sentence, work):
    """Runs `work`; what it raises is the failure. Returns whether it passed."""
    global _failed
    started = time.monotonic()
    try:
        work()
    except Exception as error:  # whatever a client raises is a finding about the server
        _failed += 1
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"FAIL {sentence}: {text[:600]} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})", flush=True)
        return False
    print(f"ok   {sentence} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


def finish():
    """Ends the process; non-zero when a check failed."""
    sys.stdout.flush()
    sys.exit(1 if _failed else 0)


def same(found, wanted, what):
    """Compares, and names the first difference instead of printing megabytes."""
    if found == wanted:
        return
    if isinstance(found, (list, dict)) and isinstance(wanted, type(found)):
        pairs = enumerate(zip(found, wanted)) if isinstance(found, list) else []
        first = next((f"at {i}: {str(a)[:200]} instead of {str(b)[:200]}" for i, (a, b) in pairs if a != b), "")
        raise AssertionError(f"{what}: {len(found)} found, {len(wanted)} wanted {first}")
    raise AssertionError(f"{what}: {str(found)[:200]} instead of {str(wanted)[:200]}")


def until(what, seconds, ready):
    """Waits until `ready()` is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")
