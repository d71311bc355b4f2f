{{/* The pods, which a Deployment and a StatefulSet have in common. */}}

{{- define "outboard.kind" -}}
{{- ternary "StatefulSet" "Deployment" (eq (include "outboard.stateful" .) "true") -}}
{{- end -}}

{{/* Without the fixed user and groups where the cluster gives them. */}}
{{- define "outboard.adapted" -}}
{{- $root := first . -}}
{{- $how := $root.Values.adaptSecurityContext -}}
{{- $openshift := $root.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- if or (eq $how "force") (and (eq $how "auto") $openshift) -}}
{{- omit (last .) "runAsUser" "runAsGroup" "fsGroup" | toYaml -}}
{{- else -}}
{{- toYaml (last .) -}}
{{- end -}}
{{- end -}}

{{- define "outboard.environment" -}}
{{- with .Values.webIdentity }}
{{- if .roleArn }}
- name: AWS_ROLE_ARN
  value: {{ .roleArn | quote }}
- name: AWS_WEB_IDENTITY_TOKEN_FILE
  value: /var/run/secrets/outboard/aws/token
{{- end }}
{{- end }}
{{- with .Values.env }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end -}}

{{/* A file mounted by subPath is never updated in a running pod; a folder is. */}}
{{- define "outboard.volumeMounts" -}}
- name: config
{{- if eq .Values.reload "rollout" }}
  mountPath: /etc/outboard/outboard.yaml
  subPath: outboard.yaml
{{- else }}
  mountPath: /etc/outboard
{{- end }}
  readOnly: true
{{- range .Values.secrets }}
- name: secret-{{ .name }}
  mountPath: /etc/outboard-secrets/{{ .name }}
  readOnly: true
{{- end }}
{{- if .Values.webIdentity.roleArn }}
- name: aws-token
  mountPath: /var/run/secrets/outboard/aws
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{- define "outboard.volumes" -}}
- name: config
  configMap:
    name: {{ include "outboard.configMapName" . }}
{{- range .Values.secrets }}
- name: secret-{{ .name }}
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    {{- if hasKey . "optional" }}
    optional: {{ .optional }}
    {{- end }}
    {{- with .items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- with .Values.webIdentity }}
{{- if .roleArn }}
- name: aws-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .audience | quote }}
          expirationSeconds: {{ .expirationSeconds | int }}
{{- end }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end -}}

{{- define "outboard.container" -}}
name: outboard
image: {{ include "outboard.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "outboard.adapted" (list . .Values.securityContext) | nindent 2 }}
{{- with include "outboard.environment" . | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* One probe: (list its-values path). */}}
{{- define "outboard.probe" -}}
httpGet:
  path: {{ last . }}
  port: http
{{ toYaml (first .) }}
{{- end -}}

{{- define "outboard.spread" -}}
{{- $labels := include "outboard.selectorLabels" . | fromYaml -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $filled := deepCopy . -}}
{{- if not (hasKey $filled "labelSelector") -}}
{{- $_ := set $filled "labelSelector" (dict "matchLabels" $labels) -}}
{{- end -}}
{{- $constraints = append $constraints $filled -}}
{{- end -}}
{{- with $constraints }}{{ toYaml . }}{{- end -}}
{{- end -}}

{{/* Where pods run, and as whom; shared with the test's pod. */}}
{{- define "outboard.placement" -}}
serviceAccountName: {{ include "outboard.serviceAccountName" . }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
enableServiceLinks: {{ .Values.enableServiceLinks }}
securityContext:
  {{- include "outboard.adapted" (list . .Values.podSecurityContext) | nindent 2 }}
{{- with include "outboard.imagePullSecrets" . }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
{{- range $field := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with get $.Values $field }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "dnsConfig" "hostAliases" }}
{{- with get $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "outboard.podTemplate" -}}
metadata:
  labels:
    {{- merge (include "outboard.podLabels" . | fromYaml) .Values.podLabels | toYaml | nindent 4 }}
  {{- $annotations := .Values.podAnnotations }}
  {{- if eq .Values.reload "rollout" }}
  {{- $annotations = merge (dict "checksum/config" (include "outboard.config" . | sha256sum)) $annotations }}
  {{- end }}
  annotations:
    {{- merge (dict "kubectl.kubernetes.io/default-container" "outboard") $annotations | toYaml | nindent 4 }}
spec:
  {{- include "outboard.placement" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "outboard.terminationGracePeriodSeconds" . }}
  {{- with include "outboard.spread" . }}
  topologySpreadConstraints:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    - {{- include "outboard.container" . | nindent 6 }}
      {{- if .Values.strict }}
      args:
        - run
        - --strict
      {{- end }}
      ports:
        - name: http
          containerPort: {{ include "outboard.port" . }}
          protocol: TCP
      startupProbe:
        {{- include "outboard.probe" (list .Values.probes.startup "/livez") | nindent 8 }}
      livenessProbe:
        {{- include "outboard.probe" (list .Values.probes.liveness "/livez") | nindent 8 }}
      readinessProbe:
        {{- include "outboard.probe" (list .Values.probes.readiness "/readyz") | nindent 8 }}
      volumeMounts:
        {{- include "outboard.volumeMounts" . | nindent 8 }}
        {{- if include "outboard.stateful" . }}
        - name: state
          mountPath: /var/lib/outboard
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- tpl (toYaml .) $ | nindent 8 }}
        {{- end }}
    {{- with .Values.sidecars }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "outboard.volumes" . | nindent 4 }}
    {{- if and (include "outboard.stateful" .) .Values.persistence.existingClaim }}
    - name: state
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
{{- end -}}
