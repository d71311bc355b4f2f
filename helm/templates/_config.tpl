{{/* What the chart reads in Outboard's configuration. Lists come back as JSON in {"it": [...]}, for `fromJson`. */}}

{{/* The configuration as it is mounted. */}}
{{- define "outboard.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if not (hasKey $config "Installation") -}}
{{- $config = set $config "Installation" (printf "%s/%s" .Release.Namespace .Release.Name) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The enabled mappings, over the defaults, each with its `source`: the service in its ARN, or kafka. */}}
{{- define "outboard.mappings" -}}
{{- $defaults := .Values.config.Defaults | default dict -}}
{{- $enabled := list -}}
{{- range .Values.config.EventSourceMappings -}}
{{- $self := and (hasKey . "SelfManagedEventSource") (not (hasKey . "EventSourceArn")) -}}
{{- $mapping := deepCopy $defaults -}}
{{- range $field, $value := . -}}
{{- $_ := set $mapping $field $value -}}
{{- end -}}
{{- $arn := get $mapping "EventSourceArn" | default "" -}}
{{- $_ := set $mapping "source" (ternary "kafka" (regexReplaceAll "^arn:[^:]+:([^:]+):.*$" $arn "${1}") $self) -}}
{{- $_ := set $mapping "Name" (get $mapping "Name" | default (get $mapping "UUID")) -}}
{{- if ne (include "outboard.enabled" (list . $defaults)) "false" -}}
{{- $enabled = append $enabled $mapping -}}
{{- end -}}
{{- end -}}
{{- dict "it" $enabled | toJson -}}
{{- end -}}

{{/* "false" if the mapping is disabled, by itself or else by the defaults: (list mapping defaults). */}}
{{- define "outboard.enabled" -}}
{{- $said := "" -}}
{{- range . -}}
{{- if and (eq $said "") (hasKey . "Enabled") -}}
{{- $said = toString .Enabled -}}
{{- else if and (eq $said "") (hasKey . "State") -}}
{{- $said = toString (not (has .State (list "Disabling" "Disabled" "Deleting"))) -}}
{{- end -}}
{{- end -}}
{{- $said -}}
{{- end -}}

{{/* The names of the mappings that read streams, whose positions Outboard keeps itself. */}}
{{- define "outboard.streams" -}}
{{- $names := list -}}
{{- range (include "outboard.mappings" . | fromJson).it -}}
{{- if has .source (list "kinesis" "dynamodb" "rds") -}}
{{- $names = append $names .Name -}}
{{- end -}}
{{- end -}}
{{- join ", " $names -}}
{{- end -}}

{{- define "outboard.stateType" -}}
{{- get (.Values.config.State | default dict) "Type" | default "sqlite" -}}
{{- end -}}

{{/* "true" if a pod keeps positions in a file. */}}
{{- define "outboard.stateful" -}}
{{- if eq (toString .Values.stateful) "auto" -}}
{{- if and (include "outboard.streams" .) (eq (include "outboard.stateType" .) "sqlite") -}}true{{- end -}}
{{- else if .Values.stateful -}}true{{- end -}}
{{- end -}}

{{/* "true" if two pods would read the same streams, each from its own positions in memory. */}}
{{- define "outboard.inMemory" -}}
{{- if and (include "outboard.streams" .) (eq (include "outboard.stateType" .) "memory") -}}true{{- end -}}
{{- end -}}

{{- define "outboard.port" -}}
{{- if .Values.existingConfigMap -}}
{{- .Values.existingConfig.port | default 8080 | int -}}
{{- else -}}
{{- $server := .Values.config.Server | default dict -}}
{{- ternary $server.Port 8080 (hasKey $server "Port") | int -}}
{{- end -}}
{{- end -}}

{{- define "outboard.drainTimeoutSeconds" -}}
{{- $said := .Values.existingConfig.drainTimeoutSeconds -}}
{{- if not .Values.existingConfigMap -}}
{{- $said = get (.Values.config.Shutdown | default dict) "DrainTimeoutSeconds" -}}
{{- end -}}
{{- ternary 120 $said (or (kindIs "invalid" $said) (eq (toString $said) "")) | ceil | int -}}
{{- end -}}

{{/* After the drain, which Outboard bounds itself, the process closes what it has open. */}}
{{- define "outboard.terminationGracePeriodSeconds" -}}
{{- add (include "outboard.drainTimeoutSeconds" . | int) 15 -}}
{{- end -}}

{{/* A Kafka mapping's brokers, with commas. */}}
{{- define "outboard.brokers" -}}
{{- if hasKey . "SelfManagedEventSource" -}}
{{- join "," .SelfManagedEventSource.Endpoints.KAFKA_BOOTSTRAP_SERVERS -}}
{{- else -}}
{{- get . "SourceEndpointUrl" | default "" -}}
{{- end -}}
{{- end -}}

{{/* The TCP ports that the mappings reach, HTTPS included, with spaces. */}}
{{- define "outboard.ports" -}}
{{- $ports := list "443" -}}
{{- range (include "outboard.mappings" . | fromJson).it -}}
{{- $addresses := list (get . "FunctionEndpointUrl" | default "") -}}
{{- if eq .source "kafka" -}}
{{- $brokers := include "outboard.brokers" . -}}
{{- $addresses = concat $addresses (splitList "," $brokers) -}}
{{- if not $brokers }}{{- $ports = concat $ports (list "9092" "9094") -}}{{- end -}}
{{- else -}}
{{- $addresses = append $addresses (get . "SourceEndpointUrl" | default "") -}}
{{- end -}}
{{- range $addresses -}}
{{- $port := regexFind ":[0-9]+/?$" (regexReplaceAll "(://[^/]*)/.*" . "$1") | trimPrefix ":" | trimSuffix "/" -}}
{{- if $port -}}
{{- $ports = append $ports $port -}}
{{- else if hasPrefix "http://" . -}}
{{- $ports = append $ports "80" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .Values.networkPolicy.egress.ports -}}
{{- $ports = append $ports (. | int | toString) -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | join " " -}}
{{- end -}}
