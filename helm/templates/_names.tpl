{{/* Names, labels and the image. */}}

{{- define "outboard.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters leave room for the hash that a StatefulSet's pods carry in a label. */}}
{{- define "outboard.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "outboard.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "outboard.selectorLabels" -}}
app.kubernetes.io/name: {{ include "outboard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The labels of pods, without the chart's version: a new chart alone does not replace them. */}}
{{- define "outboard.podLabels" -}}
{{- $version := default .Chart.AppVersion .Values.image.tag | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- $own := dict "app.kubernetes.io/version" $version "app.kubernetes.io/part-of" "outboard" -}}
{{- merge (include "outboard.selectorLabels" . | fromYaml) $own .Values.commonLabels | toYaml -}}
{{- end -}}

{{/* The labels of everything else. */}}
{{- define "outboard.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge (include "outboard.podLabels" . | fromYaml) $own | toYaml -}}
{{- end -}}

{{/* The labels of everything, with `labels` of `map`: (list $ map). */}}
{{- define "outboard.labelsWith" -}}
{{- merge (include "outboard.labels" (first .) | fromYaml) (last . | default dict) | toYaml -}}
{{- end -}}

{{- define "outboard.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "outboard.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "outboard.configMapName" -}}
{{- default (include "outboard.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "outboard.image" -}}
{{- $image := .Values.image -}}
{{- $registry := default $image.registry .Values.global.imageRegistry -}}
{{- if $registry -}}{{ printf "%s/" (trimSuffix "/" $registry) }}{{- end -}}
{{- $image.repository -}}
{{- if $image.digest -}}
{{- printf "@%s" $image.digest -}}
{{- else -}}
{{- printf ":%s" (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "outboard.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (.Values.global.imagePullSecrets | default list) .Values.imagePullSecrets -}}
{{- $secrets = append $secrets (ternary . (dict "name" .) (kindIs "map" .)) -}}
{{- end -}}
{{- with $secrets }}{{ toYaml (uniq .) }}{{- end -}}
{{- end -}}
