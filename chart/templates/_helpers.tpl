{{- /* Labels of every object; `name` is that of the component. */}}
{{- define "cilium.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: cilium
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* `of`: an image of the values; what it does not say is said by .Values.image. */}}
{{- define "cilium.image" -}}
{{- $image := merge (dict) (default dict .of) (omit .root.Values.image "override") -}}
{{- $override := default .root.Values.image.override (default dict .of).override -}}
{{- if $override -}}
{{- $override -}}
{{- else if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "cilium.container" -}}
image: {{ include "cilium.image" . | quote }}
imagePullPolicy: {{ default .root.Values.image.pullPolicy (default dict .of).pullPolicy }}
{{- end -}}

{{- /* Where the API is for programs that read the environment. */}}
{{- define "cilium.namespaceEnv" -}}
- name: CILIUM_K8S_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end -}}

{{- /* Of a pod that needs no privilege. */}}
{{- define "cilium.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "cilium.nonRoot" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* What users may say of the pods of a Deployment: `of` has their values. */}}
{{- define "cilium.placement" -}}
{{- with .of.nodeSelector | default (dict "kubernetes.io/os" "linux") }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.affinity | default .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations | default .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The rules of files/rights/NAME.yaml under one of its keys. */}}
{{- define "cilium.rights" -}}
{{- $all := .root.Files.Get (printf "files/rights/%s.yaml" .name) | fromYaml -}}
{{- toYaml (index $all .part) -}}
{{- end -}}

{{- /* A ServiceMonitor, where the cluster knows the kind: name, component, selector, port, of, node. */}}
{{- define "cilium.serviceMonitor" -}}
{{- if or (.root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") .trust }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "cilium.labels" (dict "root" .root "name" .component) | nindent 4 }}
    {{- with .of.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .of.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  selector:
    matchLabels:
      {{- toYaml .selector | nindent 6 }}
  namespaceSelector:
    matchNames:
      - {{ .root.Release.Namespace }}
  {{- with .of.jobLabel }}
  jobLabel: {{ . }}
  {{- end }}
  endpoints:
    - port: {{ .port }}
      interval: {{ .of.interval | default "10s" }}
      {{- with .of.scrapeTimeout }}
      scrapeTimeout: {{ . }}
      {{- end }}
      honorLabels: true
      path: /metrics
      {{- with .of.relabelings | default .relabelings }}
      relabelings:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .of.metricRelabelings }}
      metricRelabelings:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  targetLabels:
    - {{ .label }}
{{- end }}
{{- end -}}

{{- define "cilium.nodeRelabelings" -}}
- sourceLabels: [__meta_kubernetes_pod_node_name]
  targetLabel: node
  action: replace
{{- end -}}
