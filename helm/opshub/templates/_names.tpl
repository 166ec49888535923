{{/* Name of the chart within the names of its objects. */}}
{{- define "opshub.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the objects; short enough for the endings that are put behind it. */}}
{{- define "opshub.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "opshub.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "opshub.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The service that governs the pods, and that metrics are scraped through. */}}
{{- define "opshub.headless" -}}
{{- include "opshub.fullname" . }}-headless
{{- end -}}

{{- define "opshub.selector" -}}
app.kubernetes.io/name: {{ include "opshub.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: hub
{{- end -}}

{{- define "opshub.labels" -}}
app.kubernetes.io/name: {{ include "opshub.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "opshub.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "opshub.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "opshub.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The ports of addresses that end with one, each once. */}}
{{- define "opshub.ports" -}}
{{- $ports := list -}}
{{- range . }}{{ $ports = append $ports (splitList ":" . | last | int) }}{{ end -}}
{{- range $ports | uniq | sortAlpha }}
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end -}}

{{/* Whether the API is reached from outside the pod: it has TLS, and callers are known. */}}
{{- define "opshub.isExposed" -}}
{{- if .Values.api.tls.existingSecret }}true{{ end -}}
{{- end -}}

{{/* What every pod of the chart runs as: nobody in particular, who may do nothing else. */}}
{{- define "opshub.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "opshub.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop:
    - ALL
seccompProfile:
  type: RuntimeDefault
{{- end -}}
