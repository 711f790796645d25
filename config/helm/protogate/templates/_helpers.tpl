{{- define "protogate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "protogate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" -}}
{{- else if contains (include "protogate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 57 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "protogate.name" .) | trunc 57 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "protogate.selector" -}}
app.kubernetes.io/name: {{ include "protogate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "protogate.labels" -}}
{{ include "protogate.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "protogate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "protogate.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "protogate.adminSecret" -}}
{{- .Values.admin.existingSecret | default (printf "%s-admin" (include "protogate.fullname" .)) -}}
{{- end -}}

{{/* The port of an address such as ":8080", "0.0.0.0:8080" or "[::]:8080". */}}
{{- define "protogate.port" -}}
{{- $port := regexFind "[0-9]+$" (toString .address) -}}
{{- if or (not $port) (eq $port "0") -}}
{{- fail (printf "config.listeners: the address %q has no port; expected \":8080\" or the like" (toString .address)) -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{/* The listeners for clients: a JSON list of name and port. listeners.http is one listener or a list. */}}
{{- define "protogate.clientPorts" -}}
{{- $listeners := .Values.config.listeners -}}
{{- $ports := list -}}
{{- if kindIs "slice" $listeners.http -}}
{{- range $index, $listener := $listeners.http -}}
{{- $ports = append $ports (dict "name" ($listener.name | default (ternary "http" (printf "http-%d" $index) (eq $index 0)) | trunc 15) "port" (include "protogate.port" $listener | int)) -}}
{{- end -}}
{{- else if $listeners.http -}}
{{- $ports = append $ports (dict "name" "http" "port" (include "protogate.port" $listeners.http | int)) -}}
{{- end -}}
{{- with $listeners.realtime -}}
{{- $ports = append $ports (dict "name" "realtime" "port" (include "protogate.port" . | int)) -}}
{{- end -}}
{{- $ports | toJson -}}
{{- end -}}

{{- define "protogate.adminScheme" -}}
{{- if .Values.config.listeners.admin.tls -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}
