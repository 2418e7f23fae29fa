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

{{- /* The gateways as the configuration has them: one of them with the canary, where that is switched on. */ -}}
{{- define "certdrift.gateways" -}}
{{- $canary := include "certdrift.canary" . | fromYaml -}}
{{- $all := list -}}
{{- range .Values.gateways }}
  {{- $gateway := deepCopy . }}
  {{- if and $canary (eq .name $canary.gateway) }}
    {{- $_ := set $gateway "canary" $canary.config }}
    {{- $api := dig "kubernetes" "bindings" "gateway_api" "gateways" list $gateway }}
    {{- if and $api (eq $canary.kind "Gateway") }}
      {{- $_ := set $gateway.kubernetes.bindings.gateway_api "gateways" (append $api $canary.object) }}
    {{- end }}
  {{- end }}
  {{- $all = append $all $gateway }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{- /* The canary: of which gateway, by which kind of object it is bound, its section of the configuration. Empty when it is off. */ -}}
{{- define "certdrift.canary" -}}
{{- with .Values.canary }}
{{- if .enabled }}
  {{- $names := list }}
  {{- $gateway := dict }}
  {{- $wanted := .gateway | default (dig "name" "" (first ($.Values.gateways | default (list dict)))) }}
  {{- range $.Values.gateways }}
    {{- $names = append $names .name }}
    {{- if eq .name $wanted }}{{ $gateway = . }}{{ end }}
  {{- end }}
  {{- if not $gateway }}
    {{- fail (printf "canary.gateway: %q is none of the gateways: %s" $wanted (join ", " $names)) }}
  {{- end }}
  {{- if $gateway.canary }}
    {{- fail (printf "canary.enabled: gateway %s has a section canary already; leave one of the two out" $wanted) }}
  {{- end }}
  {{- $namespace := .namespace | default (dig "kubernetes" "namespace" "" $gateway) }}
  {{- if not $namespace }}
    {{- fail (printf "canary.gateway: %s is in no cluster, where cert-manager could rotate a canary" $wanted) }}
  {{- end }}
  {{- if and (eq $.Values.reach "namespaces") (not (has $namespace $.Values.namespaces)) }}
    {{- fail (printf "canary.namespace: %s is not within reach: add it to namespaces, or name one of them" $namespace) }}
  {{- end }}
  {{- $bindings := dig "kubernetes" "bindings" dict $gateway }}
  {{- $kind := "Secret" }}
  {{- if hasKey $bindings "kong_ingress" }}
    {{- $kind = "Ingress" }}
    {{- $watched := dig "namespaces" list ($bindings.kong_ingress | default dict) }}
    {{- if and $watched (not (has $namespace $watched)) }}
      {{- fail (printf "canary.namespace: the ingress controller of %s does not watch %s (kong_ingress.namespaces)" $wanted $namespace) }}
    {{- end }}
  {{- else if hasKey $bindings "gateway_api" }}
    {{- if eq ($bindings.gateway_api.dialect | default "kong") "kong" }}
      {{- $kind = "Gateway" }}
      {{- if not .gatewayClass }}{{ fail "canary.gatewayClass: name the class of the Gateway that holds the canary's listener" }}{{ end }}
    {{- else }}
      {{- $kind = "ListenerSet" }}
      {{- if not (regexMatch "^[^/]+/[^/]+$" .parentGateway) }}{{ fail "canary.parentGateway: name the Gateway, as NAMESPACE/NAME, that the canary's ListenerSet is added to" }}{{ end }}
    {{- end }}
  {{- end }}
  {{- $object := printf "%s/%s-canary" $namespace (include "certdrift.name" $) }}
  {{- $config := dict "certificate" $object "host" .host "every" .every "within" .within }}
  {{- if and .issuer.group (ne .issuer.group "cert-manager.io") }}{{ $_ := set $config "any_issuer" true }}{{ end }}
  {{- dict "gateway" $wanted "namespace" $namespace "kind" $kind "object" $object "config" $config | toYaml }}
{{- end }}
{{- end }}
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
{{ include "certdrift.gateways" . }}
{{- end }}

{{- /* What gateways need, gathered over all of them: which APIs, and what in which namespace. */ -}}
{{- define "certdrift.needs" -}}
{{- $needs := dict "ingresses" false "api" false "standard" false "pushes" false "touches" false "places" (dict) "pushers" (dict) "canaries" (list) -}}
{{- range $gateway := include "certdrift.gateways" . | fromYamlArray }}
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
  {{- with .canary }}
    {{- $_ := set $needs "canaries" (append $needs.canaries (splitList "/" .certificate)) }}
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

{{- define "certdrift.canaries" -}}
{{ if (include "certdrift.needs" . | fromYaml).canaries }}yes{{ end }}
{{- end }}
