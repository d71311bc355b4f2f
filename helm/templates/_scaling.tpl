{{/* What adds and takes away pods: the metrics of a HorizontalPodAutoscaler, the triggers of KEDA, and their checks. */}}

{{/* "true" if there is a ScaledObject. */}}
{{- define "outboard.keda" -}}
{{- $keda := .Values.keda -}}
{{- $there := or (ne $keda.renderMode "skipIfMissing") (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") -}}
{{- if and $keda.enabled $there -}}true{{- end -}}
{{- end -}}

{{- define "outboard.hpaMetrics" -}}
{{- with .Values.autoscaling }}
{{- if .targetConcurrency }}
- type: Pods
  pods:
    metric:
      name: outboard_concurrency_in_use
    target:
      type: AverageValue
      averageValue: {{ .targetConcurrency | quote }}
{{- end }}
{{- if .targetCPUUtilizationPercentage }}
- type: Resource
  resource:
    name: cpu
    target:
      type: Utilization
      averageUtilization: {{ .targetCPUUtilizationPercentage }}
{{- end }}
{{- with .metrics }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A queue's address: (list mapping), made of its ARN and endpoint. */}}
{{- define "outboard.queueUrl" -}}
{{- $arn := splitList ":" .EventSourceArn -}}
{{- $domain := ternary "amazonaws.com.cn" "amazonaws.com" (eq (index $arn 1) "aws-cn") -}}
{{- $endpoint := get . "SourceEndpointUrl" | default (printf "https://sqs.%s.%s" (index $arn 3) $domain) -}}
{{- printf "%s/%s/%s" (trimSuffix "/" $endpoint) (index $arn 4) (index $arn 5) -}}
{{- end -}}

{{- define "outboard.group" -}}
{{- $own := get . "SelfManagedKafkaEventSourceConfig" | default (get . "AmazonManagedKafkaEventSourceConfig") -}}
{{- get ($own | default dict) "ConsumerGroupId" | default (get . "UUID") -}}
{{- end -}}

{{/* "enable" if a Kafka mapping's brokers are reached by TLS, else "disable". */}}
{{- define "outboard.tls" -}}
{{- $tls := not (hasKey . "SelfManagedEventSource") -}}
{{- range .SourceAccessConfigurations -}}
{{- if not (hasPrefix "VPC_" .Type) }}{{- $tls = true -}}{{- end -}}
{{- end -}}
{{- if hasKey . "Tls" }}{{- $tls = .Tls -}}{{- end -}}
{{- ternary "enable" "disable" $tls -}}
{{- end -}}

{{- define "outboard.sqsTrigger" -}}
{{- $mapping := first . -}}
{{- $sqs := last . -}}
- type: aws-sqs-queue
  metadata:
    queueURL: {{ include "outboard.queueUrl" $mapping | quote }}
    queueLength: {{ $sqs.queueLength | int | quote }}
    awsRegion: {{ index (splitList ":" $mapping.EventSourceArn) 3 | quote }}
    scaleOnInFlight: {{ $sqs.scaleOnInFlight | quote }}
    {{- with get $mapping "SourceEndpointUrl" }}
    awsEndpoint: {{ . | quote }}
    {{- end }}
  {{- with $sqs.authenticationRef }}
  authenticationRef:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "outboard.kafkaTrigger" -}}
{{- $mapping := first . -}}
{{- $kafka := last . -}}
- type: kafka
  metadata:
    bootstrapServers: {{ include "outboard.brokers" $mapping | quote }}
    consumerGroup: {{ include "outboard.group" $mapping | quote }}
    topic: {{ first ($mapping.Topics | default (list "")) | quote }}
    lagThreshold: {{ $kafka.lagThreshold | int | quote }}
    offsetResetPolicy: {{ ternary "latest" "earliest" (eq (get $mapping "StartingPosition") "LATEST") }}
    tls: {{ include "outboard.tls" $mapping }}
  {{- with $kafka.authenticationRef }}
  authenticationRef:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* A trigger on Outboard's own metrics: (list $ mapping). A lag is shared by the pods; an age is not. */}}
{{- define "outboard.prometheusTrigger" -}}
{{- $root := first . -}}
{{- $mapping := last . -}}
{{- $from := $root.Values.keda.prometheus -}}
{{- $pods := printf "%s-.+" (include "outboard.fullname" $root) -}}
{{- $series := printf "{namespace=%q,pod=~%q,mapping=%q}" $root.Release.Namespace $pods $mapping.Name -}}
{{- $kafka := eq $mapping.source "kafka" -}}
- type: prometheus
  metricType: {{ ternary "AverageValue" "Value" $kafka }}
  metadata:
    serverAddress: {{ $from.serverAddress | quote }}
    {{- if $kafka }}
    query: {{ printf "sum(outboard_offset_lag%s)" $series | quote }}
    threshold: {{ $from.offsetLag | int | quote }}
    {{- else }}
    query: {{ printf "max(outboard_oldest_unsettled_age_seconds%s)" $series | quote }}
    threshold: {{ $from.oldestAgeSeconds | int | quote }}
    {{- end }}
  {{- with $from.authenticationRef }}
  authenticationRef:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "outboard.triggers" -}}
{{- $keda := .Values.keda -}}
{{- range $mapping := (include "outboard.mappings" . | fromJson).it }}
{{- if and (eq .source "sqs") $keda.sqs.enabled }}
{{ include "outboard.sqsTrigger" (list . $keda.sqs) }}
{{- else if and (eq .source "kafka") $keda.kafka.enabled }}
{{ include "outboard.kafkaTrigger" (list . $keda.kafka) }}
{{- end }}
{{- if and (has .source (list "sqs" "kafka")) $keda.prometheus.serverAddress }}
{{ include "outboard.prometheusTrigger" (list $ .) }}
{{- end }}
{{- end }}
{{- with $keda.triggers }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "outboard.check.scaling" -}}
{{- $hpa := .Values.autoscaling }}
{{- $keda := .Values.keda }}
{{- if and $hpa.enabled $keda.enabled }}
autoscaling and keda are both enabled, and each would undo what the other does: enable one of them.
{{- end }}
{{- if and $hpa.enabled (not (include "outboard.hpaMetrics" . | trim)) }}
autoscaling.enabled is true without anything to scale on: set autoscaling.targetConcurrency, targetCPUUtilizationPercentage or metrics.
{{- end }}
{{- if and $hpa.enabled (gt (int $hpa.minReplicas) (int $hpa.maxReplicas)) }}
autoscaling.minReplicas is {{ $hpa.minReplicas }}, above maxReplicas, {{ $hpa.maxReplicas }}: lower it.
{{- end }}
{{- if $keda.enabled }}
{{- include "outboard.check.keda" . }}
{{- end }}
{{- end -}}

{{- define "outboard.check.keda" -}}
{{- $keda := .Values.keda }}
{{- if gt (int $keda.minReplicaCount) (int $keda.maxReplicaCount) }}
keda.minReplicaCount is {{ $keda.minReplicaCount }}, above maxReplicaCount, {{ $keda.maxReplicaCount }}: lower it.
{{- end }}
{{- if and (eq $keda.renderMode "failIfMissing") (not (.Capabilities.APIVersions.Has "keda.sh/v1alpha1")) }}
keda.enabled is true, but the cluster does not know keda.sh/v1alpha1: install KEDA, or set keda.renderMode to skipIfMissing or alwaysRender.
{{- end }}
{{- $unseen := list }}
{{- range (include "outboard.mappings" . | fromJson).it }}
{{- $kafka := and (eq .source "kafka") $keda.kafka.enabled }}
{{- if and $kafka (not (include "outboard.group" .)) }}
keda.kafka needs the consumer group of mapping {{ .Name }}: set its ConsumerGroupId, or keda.kafka.enabled to false and keda.prometheus.serverAddress.
{{- end }}
{{- if and $kafka (not (include "outboard.brokers" .)) }}
keda.kafka needs the brokers of mapping {{ .Name }}: set its SourceEndpointUrl, or keda.kafka.enabled to false and keda.prometheus.serverAddress.
{{- end }}
{{- if not (or $kafka (and (eq .source "sqs") $keda.sqs.enabled)) }}
{{- $unseen = append $unseen .Name }}
{{- end }}
{{- end }}
{{- if and (eq (int $keda.minReplicaCount) 0) $unseen (not $keda.triggers) }}
keda.minReplicaCount is 0, but without a pod nothing shows the work of {{ join ", " $unseen }}: set it to 1, or enable the trigger of the source.
{{- end }}
{{- if not (or $keda.triggers (and .Values.config.EventSourceMappings (include "outboard.triggers" . | trim))) }}
keda.enabled is true without a trigger: enable keda.sqs or keda.kafka for a mapping of that kind, or list keda.triggers.
{{- end }}
{{- end -}}
