{% extends "nbgrader/manage_assignments.tpl" %}

{% block messages %}
<p>
  Weeks are written in <code>solutions/</code> and given to learners by <code>workbook bundle</code>; their work comes in by <code>workbook collect</code>.
  A click on the number of submissions leads to them; written answers are graded under <i>Manual Grading</i>.
</p>
{% endblock %}
