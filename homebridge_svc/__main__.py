"""`python -m homebridge_svc` is the console script by another name."""

from homebridge_svc.cli import main

if __name__ == "__main__":
    main()
