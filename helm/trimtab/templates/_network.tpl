{{/* Rules of NetworkPolicies that several of ours share. */}}
{{- define "trimtab.egress-dns" -}}
- to: {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{- define "trimtab.egress-redis" -}}
{{- if .Values.redis.enabled -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "trimtab.selector" . | nindent 10 }}
          app.kubernetes.io/component: redis
  ports:
    - {protocol: TCP, port: 6379}
{{- else -}}
- to: {{- toYaml .Values.networkPolicy.redis.peers | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ .Values.networkPolicy.redis.port }}}
{{- end -}}
{{- end -}}

{{- define "trimtab.egress-prometheus" -}}
- to: {{- toYaml .Values.networkPolicy.prometheus.peers | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ .Values.networkPolicy.prometheus.port }}}
{{- end -}}

{{- define "trimtab.egress-api" -}}
- to:
    {{- range .Values.networkPolicy.apiServer.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* The head of a NetworkPolicy, both ways. Call with root and component. */}}
{{- define "trimtab.network-policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "trimtab.fullname" .root }}-{{ .component }}
  labels:
    {{- include "trimtab.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  podSelector:
    matchLabels:
      {{- include "trimtab.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  policyTypes: [Ingress, Egress]
{{- end -}}
