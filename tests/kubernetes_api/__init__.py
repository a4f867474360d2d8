"""A small API server of Kubernetes, in this process: real HTTP, real rules of server-side apply, no cluster.

    with cluster() as (server, api):
        server.add(deployment)              # as `kubectl create` would
        server.settle()                     # pods are made and get Ready
        api.apply(path("Deployment", "default", "web"), {...})

What it answers was taken from Kubernetes 1.34 and is compared with a real cluster in `test_kubernetes_api.py`.
"""

from tests.kubernetes_api.client import Died, FakeApi, cluster, connected
from tests.kubernetes_api.server import ApiServer, Call, serving

__all__ = ["ApiServer", "Call", "Died", "FakeApi", "cluster", "connected", "serving"]
