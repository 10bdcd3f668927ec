{{- define "modkeep.name" -}}
{{- printf "%s" .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "modkeep.selector" -}}
app.kubernetes.io/name: modkeep
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modkeep.labels" -}}
{{ include "modkeep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
