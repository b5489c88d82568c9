{% extends "nbgrader/manage_submissions.tpl" %}

{% block messages %}
<p>
  <b>Autograde</b> grades everybody whose grade is not known yet, each in a sandbox, as <code>workbook grade {{ assignment_id }}</code> does in a terminal.
  <b>Generate feedback</b> writes the pages of the week again, with your points and comments, as <code>workbook feedback {{ assignment_id }}</code> does.
  <b>Release feedback</b> copies those pages into nbgrader's exchange.
</p>
{% endblock %}
