{{- define "certdrift.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "certdrift.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "certdrift.labels" -}}
{{ include "certdrift.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "certdrift.account" -}}
{{ .Values.serviceAccount.name | default (include "certdrift.name" .) }}
{{- end }}

{{- define "certdrift.tls" -}}
{{ .Values.listen.tls.secret | default (printf "%s-tls" (include "certdrift.name" .)) }}
{{- end }}

{{- define "certdrift.token" -}}
{{ .Values.listen.token.secret | default (printf "%s-token" (include "certdrift.name" .)) }}
{{- end }}

{{- /* The configuration file. */ -}}
{{- define "certdrift.config" -}}
{{- $own := dict "reach" .Values.reach "namespace" .Release.Namespace "lease" (include "certdrift.name" .) -}}
{{- if .Values.namespaces }}{{ $_ := set $own "namespaces" .Values.namespaces }}{{ end -}}
state_dir: /var/lib/certdrift
listen:
  address: {{ printf "%s:%d" (ternary "[::]" "0.0.0.0" .Values.listen.ipv6) (int .Values.listen.port) | quote }}
  token: {file: /etc/certdrift/token/token}
  tls: {certificate: /etc/certdrift/tls/tls.crt, key: /etc/certdrift/tls/tls.key}
  open_metrics: {{ or .Values.listen.openMetrics .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
log: {format: json, level: {{ .Values.log.level }}}
kubernetes:
{{ toYaml (merge (deepCopy .Values.kubernetes) $own) | indent 2 }}
gateways:
{{ toYaml .Values.gateways }}
{{- end }}

{{- /* What gateways need, gathered over all of them: which APIs, and what in which namespace. */ -}}
{{- define "certdrift.needs" -}}
{{- $needs := dict "ingresses" false "api" false "standard" false "pushes" false "touches" false "places" (dict) "pushers" (dict) -}}
{{- range $gateway := .Values.gateways }}
  {{- $own := .kubernetes | default dict }}
  {{- $bindings := $own.bindings | default dict }}
  {{- if hasKey $bindings "kong_ingress" }}{{ $_ := set $needs "ingresses" true }}{{ end }}
  {{- with $bindings.gateway_api }}
    {{- $_ := set $needs "api" true }}
    {{- if eq (.dialect | default "kong") "standard" }}{{ $_ := set $needs "standard" true }}{{ end }}
  {{- end }}
  {{- if hasKey $own "ingress_controller" }}
    {{- $of := $own.ingress_controller | default dict }}
    {{- $from := $of.namespace | default $own.namespace }}
    {{- $pusher := get $needs.pushers $from | default (dict "events" false "metrics" false) }}
    {{- if dig "events" true $of }}{{ $_ := set $needs "pushes" true }}{{ $_ := set $pusher "events" true }}{{ end }}
    {{- if $of.metrics }}{{ $_ := set $pusher "metrics" true }}{{ end }}
    {{- $_ := set $needs.pushers $from $pusher }}
  {{- end }}
  {{- with $own.namespace }}
    {{- $place := get $needs.places . | default (dict "pods" false "services" false "evicts" false "execs" false "restarts" false) }}
    {{- with $own.pods }}
      {{- $_ := set $place "pods" true }}
      {{- if .service }}{{ $_ := set $place "services" true }}{{ end }}
    {{- end }}
    {{- $policy := $gateway.policy | default dict }}
    {{- if eq ($policy.mode | default "observe") "heal" }}
      {{- range $policy.remedies }}
        {{- /* where somebody else writes the template, a rollout evicts */ -}}
        {{- if or (hasKey . "evict") (hasKey . "rollout") }}{{ $_ := set $place "evicts" true }}{{ end }}
        {{- if hasKey . "rollout" }}{{ $_ := set $place "restarts" true }}{{ end }}
        {{- if hasKey . "kube_exec" }}{{ $_ := set $place "execs" true }}{{ end }}
        {{- if hasKey . "touch" }}{{ $_ := set $needs "touches" true }}{{ end }}
      {{- end }}
    {{- end }}
    {{- $_ := set $needs.places . $place }}
  {{- end }}
{{- end }}
{{- $needs | toYaml }}
{{- end }}

{{- /* Rules of the namespaces within reach; with the same text for a Role and a ClusterRole. */ -}}
{{- define "certdrift.rules.reach" -}}
{{- $needs := include "certdrift.needs" . | fromYaml -}}
{{- if ne .Values.reach "keyless" }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch{{ if $needs.touches }}, get, patch{{ end }}]
{{- end }}
{{- if $needs.ingresses }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [list, watch]
{{- end }}
{{- if $needs.api }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, tlsroutes, referencegrants{{ if $needs.standard }}, listenersets{{ end }}]
  verbs: [list, watch]
{{- end }}
- apiGroups: [cert-manager.io]
  resources: [certificates, certificaterequests]
  verbs: [list, watch]
{{- if include "certdrift.events" . }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, get, patch]
{{- end }}
{{- if $needs.pushes }}
-{{ include "certdrift.rule.pushes" . | nindent 2 | trimPrefix "\n " }}
{{- end }}
{{- end }}

{{- define "certdrift.rule.pushes" -}}
apiGroups: [""]
resources: [events]
verbs: [list, watch]
{{- end }}

{{- define "certdrift.events" -}}
{{ if dig "events" true .Values.kubernetes }}yes{{ end }}
{{- end }}

{{- define "certdrift.elects" -}}
{{ if dig "leader_election" true .Values.kubernetes }}yes{{ end }}
{{- end }}
