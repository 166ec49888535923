{{/*
A table as TOML: values first, then the tables below it. `path` is the name of the table, empty for
the whole file. Helm's own writer of TOML is not used: numbers of values reach it as floating point,
and it writes 1 as 1.0, which is no whole number to whoever reads it.
*/}}
{{- define "opshub.toml" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value) (include "opshub.toml.isTables" $value)) }}
{{ include "opshub.toml.key" $key }} = {{ include "opshub.toml.value" $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- $name := include "opshub.toml.key" $key -}}
{{- if $path }}{{ $name = printf "%s.%s" $path $name }}{{ end -}}
{{- if kindIs "map" $value }}

[{{ $name }}]
{{- include "opshub.toml" (dict "path" $name "table" $value) -}}
{{- else if include "opshub.toml.isTables" $value -}}
{{- range $one := $value }}

[[{{ $name }}]]
{{- include "opshub.toml" (dict "path" $name "table" $one) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether a value is a list of tables. */}}
{{- define "opshub.toml.isTables" -}}
{{- if kindIs "slice" . -}}{{- if . -}}{{- if kindIs "map" (first .) -}}true{{- end -}}{{- end -}}{{- end -}}
{{- end -}}

{{- define "opshub.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/* Texts of JSON are texts of TOML too. */}}
{{- define "opshub.toml.value" -}}
{{- if kindIs "slice" . -}}
[{{ range $i, $one := . }}{{ if $i }}, {{ end }}{{ include "opshub.toml.value" $one }}{{ end }}]
{{- else if kindIs "float64" . -}}
{{- int64 . -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}
