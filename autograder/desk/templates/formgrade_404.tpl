{% extends "base.tpl" %}

{% block title %}Nothing to show{% endblock %}

{% block body %}
<p>The graded notebook is not there: <code>{{ resources.filename }}</code>. Grade the week again: <code>workbook grade {{ resources.assignment_id }}</code>.</p>
{% endblock %}
