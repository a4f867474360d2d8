{{/* What all our pods have in common. Every one satisfies the restricted level of Pod Security. */}}
{{- define "trimtab.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int64 .Values.pods.runAsUser }}
  runAsGroup: {{ int64 .Values.pods.runAsUser }}
  fsGroup: {{ int64 .Values.pods.runAsUser }}
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.pods.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Metadata of a pod's template. Call with root and component. */}}
{{- define "trimtab.pod-metadata" -}}
labels:
  {{- include "trimtab.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .root.Values.pods.labels }}{{ toYaml . | nindent 2 }}{{ end }}
annotations:
  checksum/config: {{ toYaml .root.Values.config | sha256sum }}
  {{- with .root.Values.pods.annotations }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end -}}

{{/* A container of our image. */}}
{{- define "trimtab.container" -}}
image: {{ include "trimtab.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* Environment of whatever reads the policy. */}}
{{- define "trimtab.environment" -}}
- name: TRIMTAB_POLICY
  value: /etc/trimtab/trimtab.yaml
- {name: HOME, value: /tmp}
{{- with .Values.externalRedis }}
{{- if .existingSecret }}
- name: TRIMTAB_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- end -}}

{{/* The policy, what it refers to, and where may be written. */}}
{{- define "trimtab.mounts" -}}
- {name: policy, mountPath: /etc/trimtab/trimtab.yaml, subPath: trimtab.yaml, readOnly: true}
- {name: tmp, mountPath: /tmp}
- {name: reports, mountPath: {{ .Values.config.reports | quote }}}
{{- if .Values.tokens.existingSecret }}
- {name: tokens, mountPath: /etc/trimtab/tokens, readOnly: true}
{{- end }}
{{- if .Values.externalRedis.caSecret }}
- {name: redis-ca, mountPath: /etc/trimtab/redis-ca, readOnly: true}
{{- end }}
{{- end -}}

{{- define "trimtab.volumes" -}}
- name: policy
  configMap: {name: {{ include "trimtab.fullname" . }}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: reports
  emptyDir: {sizeLimit: 256Mi}
{{- with .Values.tokens.existingSecret }}
- name: tokens
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- with .Values.externalRedis.caSecret }}
- name: redis-ca
  secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end -}}

{{/* One run of the watchdog as the spec of a pod. Call with root and arguments. */}}
{{- define "trimtab.reap" -}}
{{- include "trimtab.pod" .root }}
serviceAccountName: {{ include "trimtab.fullname" .root }}-reap
automountServiceAccountToken: true
enableServiceLinks: false
restartPolicy: Never
containers:
  - name: reap
    {{- include "trimtab.container" .root | nindent 4 }}
    command: [python, -m, console, reap{{ range .arguments }}, {{ . | quote }}{{ end }}]
    env: {{- include "trimtab.environment" .root | nindent 6 }}
    resources: {{- toYaml .root.Values.reap.resources | nindent 6 }}
    volumeMounts: {{- include "trimtab.mounts" .root | nindent 6 }}
volumes: {{- include "trimtab.volumes" .root | nindent 2 }}
{{- end -}}
