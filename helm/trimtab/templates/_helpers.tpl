{{/* Names. Kept short enough for what is appended to them. */}}
{{- define "trimtab.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Objects outside the release's namespace carry it in their name: two releases may be called the same. */}}
{{- define "trimtab.outside" -}}
{{ include "trimtab.fullname" . }}.{{ .Release.Namespace }}
{{- end -}}

{{- define "trimtab.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trimtab.labels" -}}
{{ include "trimtab.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "trimtab.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end -}}

{{/* The port of server.bind. */}}
{{- define "trimtab.port" -}}
{{ regexFind "[0-9]+$" .Values.config.server.bind }}
{{- end -}}

{{- define "trimtab.redis-url" -}}
redis://{{ .Values.redis.service }}:6379/0
{{- end -}}

{{/* A target's mode: its own, or the file's. Call with (dict "root" $ "target" $target). */}}
{{- define "trimtab.mode" -}}
{{ default (default "observe" .root.Values.config.mode) .target.mode }}
{{- end -}}

{{/* "true" if the target may be written. */}}
{{- define "trimtab.acts" -}}
{{- if has (include "trimtab.mode" .) (list "approve" "act") -}}true{{- end -}}
{{- end -}}

{{/* "true" if any target of a workload may be written. */}}
{{- define "trimtab.any-acts" -}}
{{- range .Values.config.targets -}}
{{- if and .workload (include "trimtab.acts" (dict "root" $ "target" .)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Resource of a workload in the API: deployments or statefulsets. */}}
{{- define "trimtab.plural" -}}
{{ lower (default "Deployment" .kind) }}s
{{- end -}}

{{/* Rules of a file in files/rbac with the names of a target in them. Call with root, target and file. */}}
{{- define "trimtab.rules" -}}
{{- $w := .target.workload -}}
{{- $more := default dict (get .root.Values.rbac.targets .target.name) -}}
{{- $pods := list -}}
{{- range until (int (default 0 $more.replicas)) }}{{ $pods = append $pods (printf "%s-%d" $w.name . | quote) }}{{ end -}}
{{- .root.Files.Get (printf "files/rbac/%s.yaml" .file)
    | replace "PLURAL" (include "trimtab.plural" $w)
    | replace "WORKLOAD" $w.name
    | replace "CONFIG_MAP" (default "" $w.config_map)
    | replace "SERVICE" (default "" $w.service)
    | replace "AUTOSCALER" (default "" $more.autoscaler)
    | replace "ORDINALS" (join ", " $pods) | trim -}}
{{- end -}}

{{/* A Role in the target's namespace and its binding. Call with root, target, account and files. */}}
{{- define "trimtab.role" -}}
{{- $name := printf "%s.%s.%s" (include "trimtab.outside" .root) .account .target.name -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .target.workload.namespace }}
  labels: {{- include "trimtab.labels" .root | nindent 4 }}
rules:
{{- range .files }}
  {{- include "trimtab.rules" (dict "root" $.root "target" $.target "file" .) | nindent 2 }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .target.workload.namespace }}
  labels: {{- include "trimtab.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "trimtab.fullname" .root }}-{{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
