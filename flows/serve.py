"""Serves all deployments from one process on one machine: `python -m flows.serve` beside `prefect server start`."""

from __future__ import annotations

from prefect import serve

from flows.read_experiment import read_experiment
from flows.refresh_customers import refresh_customers
from flows.run_campaign import run_campaign


def main() -> None:
    """Runs until it is stopped."""
    serve(
        refresh_customers.to_deployment("refresh-customers", tags=["campanile", "customers"]),
        run_campaign.to_deployment("run-campaign", tags=["campanile", "campaign"]),
        read_experiment.to_deployment("read-experiment", tags=["campanile", "experiment"]),
        limit=2,
    )


if __name__ == "__main__":
    main()
