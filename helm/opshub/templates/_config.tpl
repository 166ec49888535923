{{/* The hub's configuration file. */}}
{{- define "opshub.config" -}}
{{- include "opshub.toml" (dict "path" "" "table" (fromJson (include "opshub.config.table" .))) | trim -}}
{{- end -}}

{{/*
What the file holds: `config` as it is, and the sections that follow from the other values. The
metrics page and the doors have no TLS of their own; behind_proxy says that somebody else keeps
others out, which the network policy does.
*/}}
{{- define "opshub.config.table" -}}
{{- $credentials := "/etc/opshub/credentials" -}}
{{- $api := dict "listen" (printf "127.0.0.1:%v" .Values.api.port) -}}
{{- if include "opshub.isExposed" . -}}
{{- $_ := set $api "listen" (printf "0.0.0.0:%v" .Values.api.port) -}}
{{- $_ := set $api "certificates" (printf "%s/tls/certificates" $credentials) -}}
{{- $_ := set $api "key" (printf "file:%s/tls/key" $credentials) -}}
{{- $tokens := list -}}
{{- range .Values.api.tokens -}}
{{- $tokens = append $tokens (dict "name" .name "roles" .roles "token" (printf "file:%s/tokens/%s" $credentials .name)) -}}
{{- end -}}
{{- if $tokens }}{{ $_ := set $api "tokens" $tokens }}{{ end -}}
{{- with .Values.api.jwt -}}
{{- $jwt := dict "issuer" .issuer "keys" (printf "%s/jwt/keys" $credentials) -}}
{{- with .audience }}{{ $_ := set $jwt "audience" . }}{{ end -}}
{{- with .algorithms }}{{ $_ := set $jwt "algorithms" . }}{{ end -}}
{{- with .rolesClaim }}{{ $_ := set $jwt "roles_claim" . }}{{ end -}}
{{- with .nameClaim }}{{ $_ := set $jwt "name_claim" . }}{{ end -}}
{{- $_ := set $api "jwt" $jwt -}}
{{- end -}}
{{- with .Values.api.callers -}}
{{- $_ := set $api "callers" . -}}
{{- $_ := set $api "callers_ca" (printf "%s/callers/ca" $credentials) -}}
{{- end -}}
{{- with .Values.api.quota -}}
{{- $quota := dict -}}
{{- if hasKey . "callsPerSecond" }}{{ $_ := set $quota "calls_per_second" (int64 .callsPerSecond) }}{{ end -}}
{{- if hasKey . "bytesPerSecond" }}{{ $_ := set $quota "bytes_per_second" (int64 .bytesPerSecond) }}{{ end -}}
{{- if hasKey . "streams" }}{{ $_ := set $quota "streams" (int64 .streams) }}{{ end -}}
{{- $_ := set $api "quota" $quota -}}
{{- end -}}
{{- end -}}
{{- $table := deepCopy .Values.config -}}
{{- $_ := set $table "api" $api -}}
{{- $_ := set $table "store" (fromJson (include "opshub.config.store" .)) -}}
{{- $_ := set $table "metrics" (dict "listen" (printf "0.0.0.0:%v" .Values.metrics.port) "behind_proxy" true) -}}
{{- if .Values.doors.enabled -}}
{{- $_ := set $table "doors" (dict "listen" (printf "0.0.0.0:%v" .Values.doors.port) "behind_proxy" true) -}}
{{- end -}}
{{- toJson $table -}}
{{- end -}}

{{/* Where the store is. What is secret about its servers is mounted, see opshub.servers. */}}
{{- define "opshub.config.store" -}}
{{- if eq .Values.form "embedded" -}}
{{- toJson (dict "dir" "/var/lib/opshub/store") -}}
{{- else -}}
{{- $given := .Values.distributed -}}
{{- $servers := dict "brokers" (join "," $given.brokers) "redis" $given.redis "name" $given.name -}}
{{- $_ := set $servers "replicas" $given.topicReplicas -}}
{{- with $given.partitions }}{{ $_ := set $servers "partitions" (int .) }}{{ end -}}
{{- $_ := set $servers "silence_max" $given.silenceMax -}}
{{- $_ := set $servers "redis_password" "file:/etc/opshub/servers/redis" -}}
{{- with $given.redisUser }}{{ $_ := set $servers "redis_user" . }}{{ end -}}
{{- $properties := deepCopy $given.properties -}}
{{- if $given.ca.existingSecret }}{{ $_ := set $properties "ssl.ca.location" "/etc/opshub/servers/ca" }}{{ end -}}
{{- if $properties }}{{ $_ := set $servers "properties" $properties }}{{ end -}}
{{- $secrets := dict -}}
{{- range $given.secrets }}{{ $_ := set $secrets .property (printf "file:/etc/opshub/servers/kafka/%s" .property) }}{{ end -}}
{{- if $secrets }}{{ $_ := set $servers "secrets" $secrets }}{{ end -}}
{{- if include "opshub.isExposed" . }}{{ $_ := set $servers "advertise_ca" "/etc/opshub/credentials/tls/ca" }}{{ end -}}
{{- toJson (dict "distributed" $servers) -}}
{{- end -}}
{{- end -}}

{{/* What is secret about the servers of the store, as the sources of one volume. */}}
{{- define "opshub.servers" -}}
{{- with .Values.distributed }}
- secret:
    name: {{ .redisPassword.existingSecret }}
    items:
      - key: {{ .redisPassword.key }}
        path: redis
{{- range .secrets }}
- secret:
    name: {{ .existingSecret }}
    items:
      - key: {{ .key }}
        path: kafka/{{ .property }}
{{- end }}
{{- with .ca }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - key: {{ .key }}
        path: ca
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Everything that the API needs to be secret, as the sources of one volume. */}}
{{- define "opshub.credentials" -}}
{{- with .Values.api }}
- secret:
    name: {{ .tls.existingSecret }}
    items:
      - key: {{ .tls.certificate }}
        path: tls/certificates
      - key: {{ .tls.key }}
        path: tls/key
{{- if eq $.Values.form "distributed" }}
      - key: {{ .tls.ca }}
        path: tls/ca
{{- end }}
{{- range .tokens }}
- secret:
    name: {{ .existingSecret }}
    items:
      - key: {{ .key }}
        path: tokens/{{ .name }}
{{- end }}
{{- with .jwt }}
- secret:
    name: {{ .keys.existingSecret }}
    items:
      - key: {{ .keys.key }}
        path: jwt/keys
{{- end }}
{{- if .callers }}
- secret:
    name: {{ .callersCa.existingSecret }}
    items:
      - key: {{ .callersCa.key }}
        path: callers/ca
{{- end }}
{{- end }}
{{- end -}}
