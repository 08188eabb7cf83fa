{{- /*
Every key that somebody sets is looked up in files/values.json. Calls of walk share `out`:
  mistakes  sentences; with one of them nothing is rendered
  warnings  sentences for the notes
  config    what the programs read: the values that they know and that are not the default
*/}}
{{- define "cilium.walked" -}}
{{- $table := .Files.Get "files/values.json" | fromJson -}}
{{- $out := dict "mistakes" list "warnings" list "config" dict -}}
{{- range $name, $value := .Values -}}
{{- if ne $name "global" -}}
{{- include "cilium.walk" (dict "path" $name "name" $name "value" $value "into" $out.config "table" $table "out" $out) -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- define "cilium.walk" -}}
{{- $path := .path -}}
{{- $known := hasKey .table.keys $path -}}
{{- $folder := hasKey .table.folders $path -}}
{{- $anywhere := false -}}
{{- if not (or $known $folder) -}}
{{- range .table.anywhere -}}
{{- if hasPrefix (printf "%s." .) $path -}}{{- $anywhere = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if kindIs "invalid" .value -}}
{{- else if $known -}}
{{- include "cilium.key" . -}}
{{- else if $anywhere -}}
{{- $_ := set .out "warnings" (append .out.warnings (printf "%s has no effect in this version" $path)) -}}
{{- $_ := set .into .name .value -}}
{{- else if and (kindIs "map" .value) (or $folder (gt (len .value) 0)) -}}
{{- $below := dict -}}
{{- $context := . -}}
{{- range $name, $value := .value -}}
{{- include "cilium.walk" (dict "path" (printf "%s.%s" $path $name) "name" $name "value" $value "into" $below "table" $context.table "out" $context.out) -}}
{{- end -}}
{{- if $below -}}{{- $_ := set .into .name $below -}}{{- end -}}
{{- else if $folder -}}
{{- $_ := set .out "mistakes" (append .out.mistakes (printf "%s is %s, wanted keys under it" $path (toJson .value))) -}}
{{- else -}}
{{- $meant := include "cilium.nearest" (dict "typed" $path "known" (keys .table.keys | sortAlpha)) -}}
{{- $_ := set .out "mistakes" (append .out.mistakes (printf "%s is no known key%s" $path (ternary "" (printf ", did you mean %s" $meant) (eq $meant "")))) -}}
{{- end -}}
{{- end -}}

{{- define "cilium.key" -}}
{{- $path := .path -}}
{{- $value := .value -}}
{{- $out := .out -}}
{{- $row := index .table.keys $path -}}
{{- $noted := false -}}
{{- range .table.notes -}}
{{- if and (eq .path $path) (eq (toString .value) (toString $value)) -}}
{{- $noted = true -}}
{{- $sentence := printf "%s is %s: %s" $path (toJson $value) .reason -}}
{{- $list := ternary "mistakes" "warnings" (eq .effect "refused") -}}
{{- $_ := set $out $list (append (index $out $list) $sentence) -}}
{{- end -}}
{{- end -}}
{{- $usual := and (hasKey $row "default") (eq (toJson $row.default) (toJson $value)) -}}
{{- if not $usual -}}
{{- if not (or $row.acts $noted) -}}
{{- $_ := set $out "warnings" (append $out.warnings (printf "%s has no effect in this version" $path)) -}}
{{- end -}}
{{- if ne (default "" $row.drives) "chart" -}}{{- $_ := set .into .name $value -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The known key that shares most pairs of letters with the typed one; nothing where it is less than two thirds of them. */}}
{{- define "cilium.nearest" -}}
{{- $typed := lower (regexReplaceAll "[._-]" .typed "") -}}
{{- $pairs := list -}}
{{- range $i := until (int (sub (len $typed) 1)) -}}
{{- $pairs = append $pairs (substr (int $i) (int (add $i 2)) $typed) -}}
{{- end -}}
{{- $best := "" -}}
{{- $most := 660 -}}
{{- range $known := .known -}}
{{- $plain := lower (regexReplaceAll "[._-]" $known "") -}}
{{- $hits := 0 -}}
{{- range $pairs -}}{{- if contains . $plain -}}{{- $hits = add1 $hits -}}{{- end -}}{{- end -}}
{{- $score := div (mul 2000 $hits) (max 1 (sub (add (len $typed) (len $plain)) 2)) -}}
{{- if gt (int $score) (int $most) -}}
{{- $most = $score -}}
{{- $best = $known -}}
{{- end -}}
{{- end -}}
{{- $best -}}
{{- end -}}

{{- /* What the programs read, as YAML; fails with every mistake in the values. */}}
{{- define "cilium.config" -}}
{{- $walked := include "cilium.walked" . | fromJson -}}
{{- if $walked.mistakes -}}
{{- fail (printf "\nCannot use these values: %s\n  %s" (ternary "one mistake" (printf "%d mistakes" (len $walked.mistakes)) (eq (len $walked.mistakes) 1)) (join "\n  " $walked.mistakes)) -}}
{{- end -}}
{{- toYaml $walked.config -}}
{{- end -}}
