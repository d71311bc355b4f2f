"""How secrets and credentials reach a pod: by reference, never as values."""

from tests.chart.mappings import queue, topic, values
from tests.chart.rendering import refusal, render
from tests.chart.shapes import shape

ROLE = "arn:aws:iam::123456789012:role/outboard"
CA = "SERVER_ROOT_CA_CERTIFICATE"


def test_a_secret_is_mounted_as_a_folder_which_follows_its_changes():
    items = [{"key": "ca.crt", "path": "certificate"}]
    rendered = render(values(queue(), secrets=[{"name": "ca", "existingSecret": "shop-ca", "items": items}]))

    assert {"name": "secret-ca", "mountPath": "/etc/outboard-secrets/ca", "readOnly": True} in (
        rendered.container["volumeMounts"]
    )
    assert {
        "name": "secret-ca",
        "secret": {"secretName": "shop-ca", "defaultMode": 0o440, "items": items},
    } in rendered.pod["volumes"]


def test_a_secret_may_be_optional():
    rendered = render(values(queue(), secrets=[{"name": "ca", "existingSecret": "ca", "optional": True}]))

    assert rendered.pod["volumes"][1]["secret"] == {"secretName": "ca", "defaultMode": 0o440, "optional": True}


def test_what_the_configuration_refers_to_is_there():
    def of(uri):
        return topic(SourceAccessConfigurations=[{"Type": CA, "URI": uri}])

    mounted = {"secrets": [{"name": "ca", "existingSecret": "ca"}]}
    assert refusal(values(of("file:///etc/outboard-secrets/ca"), **mounted)) == []
    assert refusal(values(of("file:///etc/outboard-secrets/ca/certificate"), **mounted)) == []
    assert refusal(values(of("file:///etc/elsewhere/ca"))) == []
    assert refusal(values(of("env:CA"), env=[{"name": "CA", "value": "x"}])) == []
    assert refusal(values(of("env:CA"), envFrom=[{"secretRef": {"name": "ca"}}])) == []
    assert refusal(values({**of("env:CA"), "Enabled": False})) == []


def test_variables_reach_the_pod_and_its_test():
    rendered = render(shape("extras"))
    (test,) = rendered.one("Pod")["spec"]["containers"]

    assert rendered.container["env"] == [
        {"name": "AWS_REGION", "value": "eu-west-1"},
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    assert rendered.container["envFrom"] == [{"configMapRef": {"name": "shop-variables", "optional": True}}]
    assert (test["env"], test["envFrom"]) == (rendered.container["env"], rendered.container["envFrom"])


def test_no_pod_gets_a_token_for_the_kubernetes_api():
    rendered = render(shape("sqs"))

    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert rendered.pod["automountServiceAccountToken"] is False
    assert rendered.one("Pod")["spec"]["automountServiceAccountToken"] is False


def test_a_role_for_the_service_account_is_an_annotation():
    rendered = render(shape("irsa"))
    account = rendered.one("ServiceAccount")["metadata"]

    assert (account["name"], account["annotations"]) == ("outboard-irsa", {"eks.amazonaws.com/role-arn": ROLE})
    assert rendered.pod["serviceAccountName"] == "outboard-irsa"
    assert [it["name"] for it in rendered.pod["volumes"]] == ["config", "tmp"]


def test_without_a_webhook_the_chart_mounts_the_token_itself():
    rendered = render(shape("web-identity"))

    assert rendered.container["env"] == [
        {"name": "AWS_ROLE_ARN", "value": ROLE},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/outboard/aws/token"},
    ]
    assert {"name": "aws-token", "mountPath": "/var/run/secrets/outboard/aws", "readOnly": True} in (
        rendered.container["volumeMounts"]
    )
    token = {"path": "token", "audience": "sts.amazonaws.com", "expirationSeconds": 86400}
    assert {
        "name": "aws-token",
        "projected": {"defaultMode": 0o440, "sources": [{"serviceAccountToken": token}]},
    } in rendered.pod["volumes"]


def test_an_account_of_ones_own_is_used():
    rendered = render(values(queue(), serviceAccount={"create": False, "name": "mine"}))

    assert rendered.all("ServiceAccount") == []
    assert rendered.pod["serviceAccountName"] == "mine"


def test_pull_secrets_are_named_once():
    rendered = render(shape("everything"))

    assert rendered.pod["imagePullSecrets"] == [{"name": "shop-registry"}, {"name": "more"}]
    assert rendered.one("Pod")["spec"]["imagePullSecrets"] == rendered.pod["imagePullSecrets"]
