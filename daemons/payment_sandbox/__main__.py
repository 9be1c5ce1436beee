"""Run the payment sandbox: `python -m daemons.payment_sandbox`."""

# ruff: noqa: PLC0415 - the imports are quick within `quick_imports` only
from daemons.process.quick_imports import quick_imports


def main() -> None:
    with quick_imports():
        from daemons.payment_sandbox.open_app import open_app
        from daemons.process.runtime import run_service
    run_service("payment-sandbox", "payment_port", open_app, has_database=False)


if __name__ == "__main__":
    main()
