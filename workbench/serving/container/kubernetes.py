"""The image in Kubernetes: a deployment with its service, or KServe's inference service.

Source: https://kubernetes.io/docs/reference/kubernetes-api/ and
https://kserve.github.io/website/docs/reference/crd-api
"""

from __future__ import annotations

from typing import Any

from workbench.serving.container.config import PORT, SECRET

_DRAIN_S = 25


def manifests(image: str, replicas: int) -> list[dict[str, Any]]:
    """Returns a Deployment and its Service as JSON-able values."""
    labels = {"app": image}
    pod = {
        "securityContext": {"runAsNonRoot": True, "fsGroup": 0},
        "terminationGracePeriodSeconds": _DRAIN_S,
        "automountServiceAccountToken": False,
        "containers": [_container(image, image)],
        "volumes": [_secret(image)],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": image, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": image},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": PORT}]},
    }
    return [deployment, service]


def kserve(image: str) -> dict[str, Any]:
    """Returns an InferenceService with the image as its predictor."""
    container = _container(image, "kserve-container")
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": image},
        "spec": {"predictor": {"containers": [container], "volumes": [_secret(image)]}},
    }


def _container(image: str, name: str) -> dict[str, Any]:
    def probe(path: str) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": PORT}, "periodSeconds": 5}

    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": probe("/v2/health/ready"),
        "livenessProbe": {**probe("/v2/health/live"), "initialDelaySeconds": 30},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "token", "mountPath": str(SECRET), "subPath": SECRET.name, "readOnly": True}
        ],
    }


def _secret(image: str) -> dict[str, Any]:
    return {"name": "token", "secret": {"secretName": f"{image}-token", "defaultMode": 0o440}}
