{{- /*
A Deployment without privileges and its ServiceAccount: root, name, component, labels (those that select), of (its values), config (a ConfigMap
with values.yaml, or nothing), checksum, token (whether it talks to the API), command, ports, probes, env, hostNetwork, affinity, tolerations.
*/}}
{{- define "cilium.deployment" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "cilium.labels" (dict "root" .root "name" .name) | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- toYaml .labels | nindent 4 }}
    {{- include "cilium.labels" (dict "root" .root "name" .name) | nindent 4 }}
  {{- with .of.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ .of.replicas | int }}
  selector:
    matchLabels:
      {{- toYaml .labels | nindent 6 }}
  strategy:
    {{- .of.updateStrategy | default .strategy | toYaml | nindent 4 }}
  template:
    metadata:
      labels:
        {{- toYaml .labels | nindent 8 }}
        {{- omit (include "cilium.labels" (dict "root" .root "name" .name) | fromYaml) "helm.sh/chart" | toYaml | nindent 8 }}
        {{- with .of.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with merge (dict) (default dict .of.podAnnotations) .annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- if .hostNetwork }}
      hostNetwork: true
      {{- end }}
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: {{ .token }}
      priorityClassName: {{ .of.priorityClassName | default .priority }}
      restartPolicy: Always
      terminationGracePeriodSeconds: 5
      securityContext:
        {{- .of.podSecurityContext | default (include "cilium.nonRoot" . | fromYaml) | toYaml | nindent 8 }}
      {{- include "cilium.placement" . | nindent 6 }}
      containers:
        - name: {{ .name }}
          {{- include "cilium.container" (dict "root" .root "of" .of.image) | nindent 10 }}
          command:
            {{- toYaml .command | nindent 12 }}
          {{- if or .env .of.extraEnv }}
          env:
            {{- with .env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            {{- with .of.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- end }}
          {{- with .ports }}
          ports:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- toYaml .probes | nindent 10 }}
          {{- with .of.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            {{- .of.securityContext | default (include "cilium.unprivileged" . | fromYaml) | toYaml | nindent 12 }}
          {{- if .config }}
          volumeMounts:
            - name: values
              mountPath: /etc/stentor
              readOnly: true
          {{- end }}
      {{- if .config }}
      volumes:
        - name: values
          configMap:
            name: {{ .config }}
      {{- end }}
{{- end -}}

{{- /* A Service in front of such pods: root, name, component, labels, selector, of (type, nodePort, annotations, labels), port, target. */}}
{{- define "cilium.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- toYaml .labels | nindent 4 }}
    {{- include "cilium.labels" (dict "root" .root "name" .component) | nindent 4 }}
    {{- with .of.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .of.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .of.type | default "ClusterIP" }}
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  {{- with .policy }}
  internalTrafficPolicy: {{ . }}
  {{- end }}
  selector:
    {{- toYaml .selector | nindent 4 }}
  ports:
    - name: {{ .portName }}
      port: {{ .port }}
      protocol: TCP
      targetPort: {{ .target }}
      {{- if and .of.nodePort (ne (.of.type | default "ClusterIP") "ClusterIP") }}
      nodePort: {{ .of.nodePort }}
      {{- end }}
{{- end -}}
