{{/*
What the schema cannot say, because it lies between two keys. Each message tells the key, what is
wrong with it, and what to write.
*/}}
{{- define "opshub.checks" -}}
{{- include "opshub.checks.references" (dict "path" "config" "table" .Values.config) -}}
{{- include "opshub.checks.distributed" . -}}
{{- include "opshub.checks.api" . -}}
{{- include "opshub.checks.doors" . -}}
{{- include "opshub.checks.secrets" . -}}
{{- include "opshub.checks.network" . -}}
{{- end -}}

{{- define "opshub.checks.distributed" -}}
{{- $given := .Values.distributed -}}
{{- $policy := .Values.networkPolicy -}}
{{- if eq .Values.form "embedded" -}}
{{- if or $given.brokers $given.redis $given.autoscaling.enabled -}}
{{- fail "distributed is filled in, but form is embedded, which is one pod with its own volume: set form to distributed, or leave it out" -}}
{{- end -}}
{{- else -}}
{{- if not (and $given.brokers $given.redis) -}}
{{- fail "distributed.brokers and distributed.redis are needed by form distributed: name the Kafka and the Redis that are there" -}}
{{- end -}}
{{- if not $given.redisPassword.existingSecret -}}
{{- fail "distributed.redisPassword.existingSecret is missing: Redis holds what is known of customers, so it asks for a password" -}}
{{- end -}}
{{- if not (has (get $given.properties "security.protocol") (list "SSL" "SASL_SSL")) -}}
{{- fail "distributed.properties has no security.protocol of SSL or SASL_SSL: brokers on other machines are reached by TLS and with credentials only" -}}
{{- end -}}
{{- $names := list -}}
{{- range $given.secrets -}}
{{- if or (has .property $names) (hasKey $given.properties .property) -}}
{{- fail (printf "distributed names the property %s twice: write it once, in properties or in secrets" .property) -}}
{{- end -}}
{{- $names = append $names .property -}}
{{- end -}}
{{- range $name, $_ := $given.properties -}}
{{- if or (contains "password" $name) (contains "secret" $name) -}}
{{- fail (printf "distributed.properties.%s is a secret: name the secret that holds it in distributed.secrets" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $given.autoscaling.enabled (lt (int $given.autoscaling.replicasMax) (int $given.replicas)) -}}
{{- fail "distributed.autoscaling.replicasMax is below distributed.replicas: it begins there" -}}
{{- end -}}
{{- if and $policy.enabled (not (and $policy.kafka $policy.redis)) -}}
{{- fail "networkPolicy.kafka and networkPolicy.redis are needed by form distributed: name where the brokers and Redis are" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "opshub.checks.api" -}}
{{- $api := .Values.api -}}
{{- $isKnown := or $api.tokens $api.jwt $api.callers -}}
{{- if and $isKnown (not $api.tls.existingSecret) -}}
{{- fail "api.tls.existingSecret is empty, but api names callers: tokens and certificates are shown over TLS only, so name the secret with the API's certificate" -}}
{{- end -}}
{{- if and $api.tls.existingSecret (not $isKnown) -}}
{{- fail "api has TLS but no way to know callers, and the hub would refuse to start: set api.tokens, api.jwt or api.callers, or leave api.tls.existingSecret empty to keep the API on the pod's loopback" -}}
{{- end -}}
{{- if and $api.callers (not $api.callersCa.existingSecret) -}}
{{- fail "api.callersCa.existingSecret is missing beside api.callers: name the secret with the authority whose certificates are believed" -}}
{{- end -}}
{{- if and $api.callersCa.existingSecret (not $api.callers) -}}
{{- fail "api.callers is missing beside api.callersCa.existingSecret: say whom a certificate stands for" -}}
{{- end -}}
{{- range $what := list "tokens" "callers" -}}
{{- $names := list -}}
{{- range get $api $what -}}
{{- if has .name $names -}}
{{- fail (printf "api.%s names %s twice: a name is one caller's" $what .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "opshub.checks.doors" -}}
{{- $doors := .Values.doors -}}
{{- $connectors := .Values.config.connectors -}}
{{- range $name := list "wxcc" "sap" "zendesk" -}}
{{- if and (hasKey $connectors $name) (not $doors.enabled) -}}
{{- fail (printf "config.connectors.%s is pushed to, but doors.enabled is false: set it, and name the senders in networkPolicy.doors" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (dig "oracle" "token" "" $connectors) (not $doors.enabled) -}}
{{- fail "config.connectors.oracle.token opens a door, but doors.enabled is false: set it, and name the senders in networkPolicy.doors" -}}
{{- end -}}
{{- if and $doors.ingress.enabled (not $doors.enabled) -}}
{{- fail "doors.ingress.enabled needs doors.enabled: an ingress leads to doors that are open" -}}
{{- end -}}
{{- if and $doors.ingress.enabled (not (and $doors.ingress.host $doors.ingress.tlsSecret)) -}}
{{- fail "doors.ingress needs host and tlsSecret: senders sign what they push, and no one else may read it" -}}
{{- end -}}
{{- $ports := list (int .Values.api.port) (int $doors.port) (int .Values.metrics.port) -}}
{{- if ne (len (uniq $ports)) 3 -}}
{{- fail (printf "api.port, doors.port and metrics.port are %s: each listener needs a port of its own" (join ", " $ports)) -}}
{{- end -}}
{{- end -}}

{{/*
A secret stands in the configuration by reference. The schema would repeat what is written; this
does not.
*/}}
{{- define "opshub.checks.references" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- $isSecret := has $key (list "client_secret" "key" "password" "refresh_token" "secrets" "token") -}}
{{- $given := list -}}
{{- if and $isSecret (kindIs "string" $value) }}{{ $given = list $value }}{{ end -}}
{{- if and $isSecret (kindIs "slice" $value) }}{{ $given = $value }}{{ end -}}
{{- if and $isSecret (kindIs "map" $value) }}{{ $given = values $value }}{{ end -}}
{{- range $given -}}
{{- if not (regexMatch "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$" .) -}}
{{- fail (printf "%s.%s is no reference, and secrets are given by reference: write env:NAME or file:/etc/opshub/secrets/PATH, and say under secrets where it comes from" $path $key) -}}
{{- end -}}
{{- end -}}
{{- if and (kindIs "map" $value) (not $isSecret) -}}
{{- include "opshub.checks.references" (dict "path" (printf "%s.%s" $path $key) "table" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every reference of the configuration leads to something that is there. */}}
{{- define "opshub.checks.secrets" -}}
{{- $config := include "opshub.toml" (dict "path" "" "table" .Values.config) -}}
{{- $names := list -}}
{{- range .Values.secrets.env -}}
{{- if has .name $names -}}
{{- fail (printf "secrets.env names %s twice: write it once" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range regexFindAll "\"env:[^\"]+\"" $config -1 -}}
{{- $name := . | trimAll "\"" | trimPrefix "env:" -}}
{{- if not (has $name $names) -}}
{{- fail (printf "config refers to env:%s, which secrets.env does not have: add it there with its secret and key" $name) -}}
{{- end -}}
{{- end -}}
{{- $paths := list -}}
{{- range .Values.secrets.files -}}
{{- if has .path $paths -}}
{{- fail (printf "secrets.files has the path %s twice: a file is one secret" .path) -}}
{{- end -}}
{{- $paths = append $paths .path -}}
{{- end -}}
{{- range regexFindAll "\"file:[^\"]+\"" $config -1 -}}
{{- $file := . | trimAll "\"" | trimPrefix "file:" -}}
{{- if not (has (trimPrefix "/etc/opshub/secrets/" $file) $paths) -}}
{{- fail (printf "config refers to file:%s, which is not mounted: add its path below /etc/opshub/secrets to secrets.files" $file) -}}
{{- end -}}
{{- end -}}
{{- $named := default (list) .Values.config.connectors.mappings -}}
{{- with dig "model" "" .Values.config.engine }}{{ $named = append $named . }}{{ end -}}
{{- range $named -}}
{{- if not (and $.Values.files.existingConfigMap (hasPrefix "/etc/opshub/files/" .)) -}}
{{- fail (printf "config names the file %s, which is not mounted: set files.existingConfigMap and write /etc/opshub/files/KEY" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "opshub.checks.network" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $connectors := .Values.config.connectors -}}
{{- $calls := list -}}
{{- if hasKey $connectors "salesforce" }}{{ $calls = append $calls "config.connectors.salesforce" }}{{ end -}}
{{- range $path := list "oracle.list" "oracle.kafka" "oracle.queue" "wxcc.search" "sap.list" "zendesk.export" -}}
{{- $parts := splitList "." $path -}}
{{- if hasKey (default dict (get $connectors (first $parts))) (last $parts) }}{{ $calls = append $calls (printf "config.connectors.%s" $path) }}{{ end -}}
{{- end -}}
{{- if hasKey .Values.config.outputs "webhook" }}{{ $calls = append $calls "config.outputs.webhook" }}{{ end -}}
{{- if hasKey .Values.config.outputs "kafka" }}{{ $calls = append $calls "config.outputs.kafka" }}{{ end -}}
{{- if hasKey .Values.config.commands "sap" }}{{ $calls = append $calls "config.commands.sap" }}{{ end -}}
{{- if and $policy.enabled $calls (not $policy.egress) -}}
{{- fail (printf "networkPolicy.egress is empty, but the hub calls out for %s: name where it may go" (join ", " $calls)) -}}
{{- end -}}
{{- if and $policy.enabled .Values.doors.enabled (not $policy.doors) -}}
{{- fail "networkPolicy.doors is empty, but doors.enabled is true: name who may push, such as the ingress controller's namespace" -}}
{{- end -}}
{{- if and $policy.enabled .Values.monitoring.serviceMonitor.enabled (not $policy.metrics) -}}
{{- fail "networkPolicy.metrics is empty, but monitoring.serviceMonitor.enabled is true: name where Prometheus runs" -}}
{{- end -}}
{{- end -}}
