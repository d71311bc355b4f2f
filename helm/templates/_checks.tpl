{{/* What the chart refuses, each as a sentence with the reason and the remedy; all of them at once. */}}

{{- define "outboard.check" -}}
{{- $problems := list -}}
{{- range list "configuration" "reading" "workload" "scaling" "access" "monitoring" -}}
{{- range splitList "\n" (include (printf "outboard.check.%s" .) $) -}}
{{- with trim . }}{{- $problems = append $problems . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- with $problems -}}
{{- fail (printf "\n%s" (join "\n" .)) -}}
{{- end -}}
{{- end -}}

{{- define "outboard.check.configuration" -}}
{{- $existing := .Values.existingConfigMap }}
{{- if and $existing .Values.config }}
config and existingConfigMap are both set: give the configuration in one of them.
{{- else if not (or $existing .Values.config.EventSourceMappings) }}
config.EventSourceMappings is empty: list a mapping there, or name a ConfigMap of your own in existingConfigMap.
{{- end }}
{{- if and $existing (eq .Values.reload "rollout") }}
reload is rollout, but the chart does not see when existingConfigMap changes: set reload to hot.
{{- end }}
{{- if and $existing (eq (toString .Values.stateful) "auto") }}
stateful is auto, but the chart cannot look into existingConfigMap: set stateful to true if it reads streams with State.Type sqlite, else to false.
{{- end }}
{{- if not $existing }}
{{- range $field, $value := .Values.existingConfig }}
{{- if not (kindIs "invalid" $value) }}
existingConfig.{{ $field }} is set without existingConfigMap: set it in config instead.
{{- end }}
{{- end }}
{{- end }}
{{- $names := list }}
{{- range .Values.config.EventSourceMappings }}
{{- $name := get . "Name" | default (get . "UUID") }}
{{- if has $name $names }}
config.EventSourceMappings has two mappings named {{ $name }}: give each a Name of its own.
{{- end }}
{{- $names = append $names $name }}
{{- end }}
{{- end -}}

{{/* What the configuration says that cannot work in a pod. */}}
{{- define "outboard.check.reading" -}}
{{- $server := .Values.config.Server | default dict }}
{{- if eq (include "outboard.port" .) "0" }}
config.Server.Port is 0, any free port, where no probe finds it: set a port, or leave it out for 8080.
{{- end }}
{{- if regexMatch "^(127\\.|localhost$|::1$)" (get $server "Host" | default "") }}
config.Server.Host is {{ $server.Host }}, where the kubelet's probes do not reach it: leave it out.
{{- end }}
{{- $path := get (.Values.config.State | default dict) "Path" | default "outboard.db" }}
{{- $mounts := list "/var/lib/outboard" }}
{{- range .Values.extraVolumeMounts }}
{{- $mounts = append $mounts (tpl .mountPath $) }}
{{- end }}
{{- $kept := not (hasPrefix "/" $path) }}
{{- range $mounts }}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .)) $path }}{{- $kept = true }}{{- end }}
{{- end }}
{{- if and (include "outboard.stateful" .) (or (not $kept) (regexMatch "(^|/)[.][.](/|$)" $path)) }}
config.State.Path is {{ $path }}, which is on no volume: leave it out, or name a file in /var/lib/outboard.
{{- end }}
{{- $secrets := list }}
{{- range .Values.secrets }}
{{- if has .name $secrets }}
secrets has two entries named {{ .name }}: give each a name of its own.
{{- end }}
{{- $secrets = append $secrets .name }}
{{- end }}
{{- $variables := list }}
{{- range .Values.env }}
{{- $variables = append $variables .name }}
{{- end }}
{{- range $mapping := (include "outboard.mappings" . | fromJson).it }}
{{- range .SourceAccessConfigurations }}
{{- $uri := get . "URI" | default "" }}
{{- $secret := regexFind "^file:///etc/outboard-secrets/[^/]+" $uri | trimPrefix "file:///etc/outboard-secrets/" }}
{{- if and $secret (not (has $secret $secrets)) }}
mapping {{ $mapping.Name }} refers to {{ $uri }}, but secrets has no entry named {{ $secret }}: add one with the Secret's name as existingSecret.
{{- end }}
{{- $variable := trimPrefix "env:" $uri }}
{{- if and (hasPrefix "env:" $uri) (not (or $.Values.envFrom (has $variable $variables))) }}
mapping {{ $mapping.Name }} refers to {{ $uri }}, but env has no variable {{ $variable }}: add it with a valueFrom, or use envFrom.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Why there can be one pod only; empty if there can be more. */}}
{{- define "outboard.whyOnlyOne" -}}
{{- $streams := include "outboard.streams" . -}}
{{- if include "outboard.inMemory" . -}}
every pod would read every shard of the streams of {{ $streams }}
{{- else if and (include "outboard.stateful" .) $streams -}}
the positions of {{ $streams }} are in a file that one process has at a time
{{- else if include "outboard.stateful" . -}}
stateful is true, and positions are in a file that one process has at a time
{{- end -}}
{{- end -}}

{{- define "outboard.check.workload" -}}
{{- $why := include "outboard.whyOnlyOne" . }}
{{- $remedy := "to share queues and topics, give them a release of their own" }}
{{- if and $why (gt (int .Values.replicas) 1) }}
replicas is {{ .Values.replicas }}, but {{ $why }}: set replicas to 1; {{ $remedy }}.
{{- end }}
{{- if and $why .Values.autoscaling.enabled }}
autoscaling.enabled is true, but {{ $why }}: set it to false; {{ $remedy }}.
{{- end }}
{{- if and $why .Values.keda.enabled }}
keda.enabled is true, but {{ $why }}: set it to false; {{ $remedy }}.
{{- end }}
{{- $sqlite := eq (include "outboard.stateType" .) "sqlite" }}
{{- if and (eq (toString .Values.stateful) "false") (include "outboard.streams" .) $sqlite }}
stateful is false, but the positions of {{ include "outboard.streams" . }} are in a file, which would go with the pod: set stateful to auto, or config.State.Type to memory for tests.
{{- end }}
{{- if has (toString .Values.podDisruptionBudget.maxUnavailable) (list "0" "0%") }}
podDisruptionBudget.maxUnavailable is {{ .Values.podDisruptionBudget.maxUnavailable }}, which blocks every drain of a node: set it to 1 or more.
{{- end }}
{{- range $value := list "commonLabels" "podLabels" }}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{- if hasKey (get $.Values $value) . }}
{{ $value }} sets {{ . }}, which is part of the selector: remove it, or set nameOverride.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "outboard.check.access" -}}
{{- if not (include "outboard.serviceAccountName" .) }}
serviceAccount.create is false and serviceAccount.name is empty: name the ServiceAccount to use.
{{- end }}
{{- if and .Values.webIdentity.roleArn (hasKey .Values.serviceAccount.annotations "eks.amazonaws.com/role-arn") }}
webIdentity.roleArn and the annotation eks.amazonaws.com/role-arn are both set: keep the annotation where EKS's webhook runs, else webIdentity.roleArn.
{{- end }}
{{- end -}}

{{- define "outboard.check.monitoring" -}}
{{- $metrics := .Values.metrics }}
{{- if and $metrics.podMonitor.enabled $metrics.serviceMonitor.enabled }}
metrics.podMonitor and metrics.serviceMonitor are both enabled, and each pod would be scraped twice: enable one of them.
{{- end }}
{{- if and $metrics.serviceMonitor.enabled (not .Values.service.enabled) }}
metrics.serviceMonitor.enabled is true, but service.enabled is false: enable the Service, or metrics.podMonitor instead.
{{- end }}
{{- range $name := list "podMonitor" "serviceMonitor" }}
{{- $monitor := get $metrics $name }}
{{- $missing := not ($.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") }}
{{- if and $monitor.enabled (eq $monitor.renderMode "failIfMissing") $missing }}
metrics.{{ $name }}.enabled is true, but the cluster does not know monitoring.coreos.com/v1: install the Prometheus operator, or set metrics.{{ $name }}.renderMode to skipIfMissing or alwaysRender.
{{- end }}
{{- end }}
{{- end -}}
